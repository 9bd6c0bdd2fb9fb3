namespace Cleave.Compute;

/// <summary>
/// A read-only tensor in memory (usually a memory-mapped file): row-major, the last dimension contiguous.
/// A weight matrix has shape [outputs, inputs]; a vector has shape [length].
/// </summary>
public sealed unsafe class TensorData
{
    private readonly byte* _pointer;
    private readonly object? _owner;

    /// <param name="name">Name in its file, for messages.</param>
    /// <param name="type">Element encoding.</param>
    /// <param name="shape">Dimensions, outermost first.</param>
    /// <param name="pointer">First byte; must stay valid as long as <paramref name="owner"/> lives.</param>
    /// <param name="byteLength">Bytes available at <paramref name="pointer"/>.</param>
    /// <param name="owner">Keeps the memory alive; an <see cref="ITensorMemory"/> is given back by <see cref="Release"/>.</param>
    /// <exception cref="ArgumentException">The shape does not fit the bytes.</exception>
    public TensorData(string name, ElementType type, IReadOnlyList<long> shape, byte* pointer, long byteLength, object? owner)
    {
        Name = name;
        Type = type;
        Shape = [.. shape];
        Columns = Shape.Length == 0 ? 1 : Shape[^1];
        Rows = 1;
        for (int i = 0; i < Shape.Length - 1; i++)
        {
            Rows = checked(Rows * Shape[i]);
        }

        RowBytes = type.RowBytes(Columns);
        if (checked(RowBytes * Rows) != byteLength)
        {
            throw new ArgumentException($"tensor '{name}' of shape [{string.Join(", ", Shape)}] in {type} takes {RowBytes * Rows} bytes, got {byteLength}");
        }

        ByteLength = byteLength;
        _pointer = pointer;
        _owner = owner;
    }

    /// <summary>Name in its file.</summary>
    public string Name { get; }

    /// <summary>Element encoding.</summary>
    public ElementType Type { get; }

    /// <summary>Dimensions, outermost first.</summary>
    public long[] Shape { get; }

    /// <summary>Product of all dimensions but the last.</summary>
    public long Rows { get; }

    /// <summary>The last dimension.</summary>
    public long Columns { get; }

    /// <summary>Bytes of one row.</summary>
    public long RowBytes { get; }

    /// <summary>Bytes of the whole tensor.</summary>
    public long ByteLength { get; }

    /// <summary>First byte. Valid while this object is reachable.</summary>
    public byte* Pointer => _pointer;

    /// <summary>The object that keeps the memory alive.</summary>
    public object? Owner => _owner;

    /// <summary>
    /// Gives back memory that was made for this tensor alone; memory shared with others (a mapped file) stays. The tensor is not to be read
    /// any more.
    /// </summary>
    public void Release() => (_owner as ITensorMemory)?.Free();

    /// <summary>The encoded bytes of one row.</summary>
    public ReadOnlySpan<byte> Row(long row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        return new ReadOnlySpan<byte>(_pointer + (row * RowBytes), checked((int)RowBytes));
    }

    /// <summary>Rows [<paramref name="start"/>, start + count) as a matrix of their own, sharing the memory.</summary>
    public TensorData SliceRows(long start, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + count, Rows);
        return new TensorData(Name, Type, [count, Columns], _pointer + (start * RowBytes), count * RowBytes, this);
    }
}
