namespace Cleave.Compute.Cpu.Packed;

/// <summary>
/// A BF16 matrix in 12 bits a number, bit for bit the same: within a row of a trained matrix nearly all high bytes (sign and seven bits of
/// exponent) are among 16, so four bits name one. What is not among them is kept whole, 128 numbers at a time. Where the bytes are:
/// <see cref="PackedLayout"/>.
/// </summary>
internal sealed unsafe class PackedMatrix : IDisposable
{
    private readonly NativeBuffer _tiles;
    private readonly NativeBuffer _wholeUnits;

    /// <param name="layout">Its geometry.</param>
    /// <param name="tiles">Headers and units.</param>
    /// <param name="wholeUnits">Whole units; the headers lead there.</param>
    public PackedMatrix(PackedLayout layout, NativeBuffer tiles, NativeBuffer wholeUnits)
    {
        Layout = layout;
        _tiles = tiles;
        _wholeUnits = wholeUnits;
    }

    public PackedLayout Layout { get; }

    /// <summary>Bytes in memory.</summary>
    public long ByteLength => _tiles.ByteLength + _wholeUnits.ByteLength;

    public byte* Header(int tile) => _tiles.Pointer + Layout.HeaderOffset(tile);

    public byte* Data(int tile, int unit) => _tiles.Pointer + Layout.DataOffset(tile, unit);

    public void Dispose()
    {
        _tiles.Dispose();
        _wholeUnits.Dispose();
    }
}
