using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu.Packed;

/// <summary>
/// Packs BF16 rows tile by tile, on several threads: first the tables and how many units must be kept whole, then the units.
/// </summary>
internal sealed unsafe class MatrixPacker
{
    /// <summary>
    /// A matrix with more than one whole unit in so many stays as it is: numbers that are not distributed like trained weights. Whole units are
    /// a third longer than what they stand for, and their place is not where the hardware expects the next bytes.
    /// </summary>
    private const int FewestUnitsPerWhole = 16;

    private const byte Missing = 0xff;

    private readonly PackedLayout _layout;
    private readonly RowPointer _row;
    private readonly NativeBuffer _tiles;

    private MatrixPacker(PackedLayout layout, RowPointer row, NativeBuffer tiles)
    {
        _layout = layout;
        _row = row;
        _tiles = tiles;
    }

    /// <summary>Where the numbers of a row lie.</summary>
    public delegate ushort* RowPointer(int output);

    /// <summary>Packs a matrix, or returns null where that would not pay.</summary>
    /// <param name="outputs">Rows; <see cref="PackedLayout.Fits"/>.</param>
    /// <param name="inputs">Numbers in a row.</param>
    /// <param name="row">The rows.</param>
    /// <param name="threads">How many threads may work on it.</param>
    public static PackedMatrix? Pack(int outputs, int inputs, RowPointer row, int threads)
    {
        var layout = new PackedLayout(outputs, inputs);
        var tiles = new NativeBuffer(layout.Bytes, weights: true);
        NativeBuffer? whole = null;
        try
        {
            var packer = new MatrixPacker(layout, row, tiles);
            whole = packer.Pack(threads);
            if (whole is not null)
            {
                return new PackedMatrix(layout, tiles, whole);
            }

            tiles.Dispose();
            return null;
        }
        catch
        {
            whole?.Dispose();
            tiles.Dispose();
            throw;
        }
    }

    private NativeBuffer? Pack(int threads)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var firstWhole = new long[_layout.Tiles + 1];
        Parallel.For(0, _layout.Tiles, options, tile => firstWhole[tile + 1] = Survey(tile));
        for (int tile = 0; tile < _layout.Tiles; tile++)
        {
            // A byte names a whole unit of its tile.
            if (firstWhole[tile + 1] > byte.MaxValue)
            {
                return null;
            }

            firstWhole[tile + 1] += firstWhole[tile];
        }

        long units = (long)_layout.Tiles * PackedLayout.TileOutputs * _layout.Units;
        long wholeBytes = firstWhole[^1] * PackedLayout.WholeUnitBytes;
        if (firstWhole[^1] > units / FewestUnitsPerWhole || _layout.Bytes + wholeBytes >= _layout.StoredBytes)
        {
            return null;
        }

        var whole = new NativeBuffer(wholeBytes, weights: true);
        Parallel.For(0, _layout.Tiles, options, tile => Encode(tile, whole.Pointer + (firstWhole[tile] * PackedLayout.WholeUnitBytes)));
        return whole;
    }

    /// <summary>Writes a tile's tables and returns how many of its units have a high byte that is in none.</summary>
    private int Survey(int tile)
    {
        byte* header = _tiles.Pointer + _layout.HeaderOffset(tile);
        byte* codes = stackalloc byte[256];
        int whole = 0;
        for (int i = 0; i < PackedLayout.TileOutputs && (tile * PackedLayout.TileOutputs) + i < _layout.Outputs; i++)
        {
            ushort* row = _row((tile * PackedLayout.TileOutputs) + i);
            byte* table = header + (i * PackedLayout.TableLength);
            if (WriteTable(row, table))
            {
                continue;
            }

            Invert(table, codes);
            for (int unit = 0; unit < _layout.Units; unit++)
            {
                whole += Codes(row + (unit * PackedLayout.UnitNumbers), codes, null) ? 0 : 1;
            }
        }

        return whole;
    }

    /// <summary>The row's most frequent high bytes; true when there are no others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool WriteTable(ushort* row, byte* table)
    {
        // Two counts for each byte: neighbours are often equal, and a count waits for the one before.
        int* counts = stackalloc int[2 * 256];
        new Span<int>(counts, 2 * 256).Clear();
        int numbers = _layout.Units * PackedLayout.UnitNumbers;
        for (int i = 0; i < numbers; i += 2)
        {
            counts[row[i] >> 8]++;
            counts[256 + (row[i + 1] >> 8)]++;
        }

        Span<long> found = stackalloc long[256];
        int length = 0;
        for (int value = 0; value < 256; value++)
        {
            long count = counts[value] + counts[256 + value];
            if (count > 0)
            {
                found[length++] = (count << 8) | (uint)value;
            }
        }

        found = found[..length];
        found.Sort();
        for (int i = 0; i < PackedLayout.TableLength; i++)
        {
            table[i] = (byte)(i < length ? found[length - 1 - i] : found[length - 1]);
        }

        return length <= PackedLayout.TableLength;
    }

    private static void Invert(byte* table, byte* codes)
    {
        new Span<byte>(codes, 256).Fill(Missing);
        for (int i = PackedLayout.TableLength - 1; i >= 0; i--)
        {
            codes[table[i]] = (byte)i;
        }
    }

    private void Encode(int tile, byte* whole)
    {
        byte* header = _tiles.Pointer + _layout.HeaderOffset(tile);
        *(long*)(header + PackedLayout.WholeUnitsAt) = whole - header;
        byte* codes = stackalloc byte[256];
        int next = 0;
        for (int i = 0; i < PackedLayout.TileOutputs && (tile * PackedLayout.TileOutputs) + i < _layout.Outputs; i++)
        {
            ushort* row = _row((tile * PackedLayout.TileOutputs) + i);
            Invert(header + (i * PackedLayout.TableLength), codes);
            for (int unit = 0; unit < _layout.Units; unit++)
            {
                ushort* numbers = row + (unit * PackedLayout.UnitNumbers);
                byte* packed = _tiles.Pointer + _layout.DataOffset(tile, unit) + (i * PackedLayout.OutputUnitBytes);
                if (!Codes(numbers, codes, packed))
                {
                    CopyWhole(numbers, whole + (next * PackedLayout.WholeUnitBytes));
                    header[PackedLayout.SlotsAt + (4 * unit) + i] = (byte)++next;
                }
            }
        }
    }

    /// <summary>Writes a unit, unless <paramref name="packed"/> is null; false when the table lacks one of its high bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Codes(ushort* numbers, byte* codes, byte* packed)
    {
        Vector512<byte> first = Code(Pairs(numbers), Pairs(numbers + 32), codes, packed);
        Vector512<byte> second = Code(Pairs(numbers + 64), Pairs(numbers + 96), codes, packed == null ? null : packed + 64);
        if (packed != null)
        {
            // A missing code leaves its neighbour alone; the unit is not read then.
            Vector512<byte> low = first & Vector512.Create((byte)15);
            (low | (second.AsUInt16() << 4).AsByte() & Vector512.Create((byte)0xf0)).Store(packed + 128);
        }

        return !Vector512.GreaterThanAny(first | second, Vector512.Create((byte)15));
    }

    /// <summary>Codes of 64 high bytes; the low bytes are written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Code(Vector512<ushort> low, Vector512<ushort> high, byte* codes, byte* lowBytes)
    {
        Vector512<ushort> mask = Vector512.Create((ushort)0xff);
        if (lowBytes != null)
        {
            Avx512BW.PackUnsignedSaturate((low & mask).AsInt16(), (high & mask).AsInt16()).Store(lowBytes);
        }

        Vector512<byte> bytes = Avx512BW.PackUnsignedSaturate((low >>> 8).AsInt16(), (high >>> 8).AsInt16());
        Vector512<byte> positive = Avx512Vbmi.PermuteVar64x8x2(Vector512.Load(codes), bytes, Vector512.Load(codes + 64));
        Vector512<byte> negative = Avx512Vbmi.PermuteVar64x8x2(Vector512.Load(codes + 128), bytes, Vector512.Load(codes + 192));
        return Vector512.ConditionalSelect(Vector512.LessThan(bytes.AsSByte(), Vector512<sbyte>.Zero).AsByte(), negative, positive);
    }

    /// <summary>Numbers 0-15 in the low halves of 32 bits, 16-31 in the high ones: as interleaving low and high bytes leaves them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ushort> Pairs(ushort* numbers)
    {
        Vector512<uint> low = Avx512F.ConvertToVector512UInt32(Vector256.Load(numbers));
        Vector512<uint> high = Avx512F.ConvertToVector512UInt32(Vector256.Load(numbers + 16));
        return (low | (high << 16)).AsUInt16();
    }

    private static void CopyWhole(ushort* numbers, byte* whole)
    {
        for (int i = 0; i < PackedLayout.UnitNumbers; i += 32)
        {
            Pairs(numbers + i).AsByte().Store(whole + (i * sizeof(ushort)));
        }
    }
}
