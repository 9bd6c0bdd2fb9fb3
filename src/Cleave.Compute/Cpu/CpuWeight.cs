namespace Cleave.Compute.Cpu;

/// <summary>One or more stored matrices stacked along their outputs, read where they lie (usually a mapped file).</summary>
internal sealed unsafe class CpuWeight : DeviceWeight
{
    private readonly TensorData[] _parts;
    private readonly int[] _starts;

    public CpuWeight(IReadOnlyList<TensorData> stacked)
    {
        if (stacked.Count == 0)
        {
            throw new ArgumentException("a weight needs at least one tensor", nameof(stacked));
        }

        _parts = [.. stacked];
        _starts = new int[_parts.Length + 1];
        Type = _parts[0].Type;
        Inputs = checked((int)_parts[0].Columns);
        RowBytes = _parts[0].RowBytes;
        for (int i = 0; i < _parts.Length; i++)
        {
            TensorData part = _parts[i];
            if (part.Type != Type || part.Columns != Inputs)
            {
                throw new ArgumentException(
                    $"cannot stack '{part.Name}' ({part.Type}, [{part.Rows}, {part.Columns}]) under '{_parts[0].Name}' ({Type}, [{_parts[0].Rows}, {Inputs}]): types and inputs must be equal",
                    nameof(stacked));
            }

            _starts[i + 1] = checked((int)(_starts[i] + part.Rows));
        }
    }

    public override int Outputs => _starts[^1];

    public override int Inputs { get; }

    public override ElementType Type { get; }

    public override long DeviceBytes => 0;

    public long RowBytes { get; }

    public bool Disposed { get; private set; }

    /// <summary>The bytes of row <paramref name="output"/> and how many of the rows from it on are contiguous.</summary>
    public byte* Rows(int output, out int contiguous)
    {
        int part = 0;
        while (output >= _starts[part + 1])
        {
            part++;
        }

        contiguous = _starts[part + 1] - output;
        return _parts[part].Pointer + ((output - _starts[part]) * RowBytes);
    }

    protected override void Dispose(bool disposing) => Disposed = true;
}
