using ILGPU;

namespace Cleave.Compute.Gpu;

/// <summary>Activations in device memory; the first of its views owns the buffer.</summary>
internal sealed class GpuTensor(GpuBuffer buffer, long offset, int rows, int columns, int stride, bool owner) : DeviceTensor
{
    public GpuBuffer Buffer => buffer;

    /// <summary>Floats from the buffer's start to the first number.</summary>
    public long Offset => offset;

    /// <inheritdoc />
    public override int RowCapacity => rows;

    /// <inheritdoc />
    public override int ColumnCount => columns;

    /// <inheritdoc />
    public override int Stride => stride;

    /// <summary>Everything from the first number on.</summary>
    public ArrayView<float> View => buffer.View.SubView(offset, rows == 0 ? 0 : ((long)(rows - 1) * stride) + columns);

    /// <summary>The tensor-core operand made of this view by its last writer, or null.</summary>
    public Cuda.PackedRows? Packed { get; set; }

    /// <inheritdoc />
    public override DeviceTensor Columns(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + count, columns);
        return new GpuTensor(buffer, offset + start, rows, count, stride, owner: false);
    }

    /// <inheritdoc />
    public override DeviceTensor Rows(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + count, rows);
        return new GpuTensor(buffer, offset + ((long)start * stride), count, columns, stride, owner: false);
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        Packed?.Dispose();
        Packed = null;
        if (disposing && owner)
        {
            buffer.Dispose();
        }
    }
}
