namespace Cleave.Compute.Cpu;

/// <summary>Keys, then values, of each layer: [layer, key or value, slot, column].</summary>
internal sealed unsafe class CpuKvArena : KvArena
{
    private readonly CpuDevice _device;
    private readonly NativeBuffer _buffer;

    public CpuKvArena(CpuDevice device, int layers, int slots, int columns, ElementType type)
    {
        if (type is not (ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0))
        {
            throw new ArgumentException($"keys and values cannot be stored in {type}: use F32, F16, BF16 or Q8_0", nameof(type));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(layers);
        ArgumentOutOfRangeException.ThrowIfNegative(slots);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        _device = device;
        Layers = layers;
        Slots = slots;
        Columns = columns;
        Type = type;
        RowBytes = type.RowBytes(columns);
        _buffer = new NativeBuffer(checked(2L * layers * RowBytes * slots));
        device.Allocated(_buffer.ByteLength);
    }

    public override int Layers { get; }

    public override int Slots { get; }

    public override int Columns { get; }

    public override ElementType Type { get; }

    public long RowBytes { get; }

    /// <summary>Keys of slot 0 of a layer.</summary>
    public byte* Keys(int layer)
    {
        ObjectDisposedException.ThrowIf(_buffer.Pointer == null, this);
        return _buffer.Pointer + (2L * layer * RowBytes * Slots);
    }

    public byte* Values(int layer) => Keys(layer) + (RowBytes * Slots);

    protected override void Dispose(bool disposing)
    {
        if (disposing && _buffer.Pointer != null)
        {
            _device.Allocated(-_buffer.ByteLength);
            _buffer.Dispose();
        }
    }
}
