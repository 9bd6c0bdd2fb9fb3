using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// Activations as a tensor-core operand, in bfloat16 or binary16: tiles of T rows, in a tile [K/8, T, 8], so that any run of K is
/// contiguous in memory. T is the row count up to 64 rows and 256 above.
/// </summary>
internal sealed class PackedRows(MemoryBuffer1D<ushort, Stride1D.Dense> memory, Action<long> account) : IDisposable
{
    /// <summary>Rows up to which a step has one tile of its own size; the products for many rows take tiles of 256.</summary>
    public const int FewRows = 64;

    public ArrayView<ushort> View => memory.View.BaseView;

    /// <summary>Numbers the buffer has room for.</summary>
    public long Capacity => memory.Length;

    /// <summary>Version of the tensor's buffer that was packed.</summary>
    public long Version { get; set; } = -1;

    /// <summary>Rows packed.</summary>
    public int Rows { get; set; }

    /// <summary>True for binary16 (scaled by <see cref="WeightPacking.HalfScale"/>), false for bfloat16.</summary>
    public bool Half { get; set; }

    public static int TileRows(int rows) => rows <= FewRows ? rows : BlockProduct.TileRows;

    /// <summary>Numbers <paramref name="rows"/> rows take, whole tiles.</summary>
    public static long Length(int rows, int columns) =>
        (long)(rows <= FewRows ? rows : (rows + BlockProduct.TileRows - 1) / BlockProduct.TileRows * BlockProduct.TileRows) * columns;

    public void Dispose()
    {
        account(-memory.LengthInBytes);
        memory.Dispose();
    }
}
