using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Keys and values in device memory: for each layer [slots, columns] keys, then [slots, columns] values, in 16-bit units.</summary>
internal sealed class GpuKvArena(
    int layers, int slots, int columns, ElementType type, MemoryBuffer1D<ushort, Stride1D.Dense> memory, Action<long> freed) : KvArena
{
    private bool _disposed;

    /// <inheritdoc />
    public override int Layers => layers;

    /// <inheritdoc />
    public override int Slots => slots;

    /// <inheritdoc />
    public override int Columns => columns;

    /// <inheritdoc />
    public override ElementType Type => type;

    /// <summary>16-bit units of one slot's key.</summary>
    public int RowUnits => checked((int)(type.RowBytes(columns) / 2));

    public ArrayView<ushort> View => memory.View.BaseView;

    public long KeyOffset(int layer) => 2L * layer * slots * RowUnits;

    public long ValueOffset(int layer) => KeyOffset(layer) + ((long)slots * RowUnits);

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            freed(memory.LengthInBytes);
            memory.Dispose();
        }
    }
}
