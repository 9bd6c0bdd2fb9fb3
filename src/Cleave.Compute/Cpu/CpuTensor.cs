namespace Cleave.Compute.Cpu;

/// <summary>Float32 rows in native memory, or a view of some.</summary>
internal sealed unsafe class CpuTensor : DeviceTensor
{
    private readonly CpuDevice _device;
    private readonly NativeBuffer _buffer;
    private readonly long _offset;
    private readonly bool _owned;

    public CpuTensor(CpuDevice device, int rows, int columns)
    {
        _device = device;
        RowCapacity = rows;
        ColumnCount = columns;

        // Rows start on 64-byte borders when they are at least that long.
        Stride = columns < 16 ? columns : (columns + 15) & ~15;
        _buffer = new NativeBuffer(checked((long)rows * Stride * sizeof(float)));
        _owned = true;
        device.Allocated(_buffer.ByteLength);
    }

    private CpuTensor(CpuTensor whole, long offset, int rows, int columns)
    {
        _device = whole._device;
        _buffer = whole._buffer;
        _offset = whole._offset + offset;
        RowCapacity = rows;
        ColumnCount = columns;
        Stride = whole.Stride;
    }

    public override int RowCapacity { get; }

    public override int ColumnCount { get; }

    public override int Stride { get; }

    /// <summary>The first row.</summary>
    public float* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_buffer.Pointer == null, this);
            return (float*)_buffer.Pointer + _offset;
        }
    }

    public string Shape => $"[{RowCapacity}, {ColumnCount}]";

    public float* Row(int row) => Pointer + ((long)row * Stride);

    public override DeviceTensor Columns(int start, int count)
    {
        CheckRange(start, count, ColumnCount, "columns");
        return new CpuTensor(this, start, RowCapacity, count);
    }

    public override DeviceTensor Rows(int start, int count)
    {
        CheckRange(start, count, RowCapacity, "rows");
        return new CpuTensor(this, (long)start * Stride, count, ColumnCount);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && _owned && _buffer.Pointer != null)
        {
            _device.Allocated(-_buffer.ByteLength);
            _buffer.Dispose();
        }
    }

    private void CheckRange(int start, int count, int length, string what)
    {
        if (start < 0 || count < 0 || (long)start + count > length)
        {
            throw new ArgumentException($"{what} {start}..{(long)start + count - 1} are outside a tensor of shape {Shape}");
        }
    }
}
