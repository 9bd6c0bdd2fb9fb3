using Cleave.Compute.Cpu.Packed;

namespace Cleave.Compute.Cpu;

/// <summary>One or more stored matrices stacked along their outputs, read where they lie (usually a mapped file) or packed.</summary>
internal sealed unsafe class CpuWeight : DeviceWeight
{
    private readonly TensorData[] _parts;
    private readonly int[] _starts;
    private CpuDevice? _device;

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

    public override long DeviceBytes => Packed?.ByteLength ?? 0;

    /// <summary>The numbers in fewer bytes, once <see cref="Pack"/> has run; null while they are read where they were stored.</summary>
    public PackedMatrix? Packed { get; private set; }

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

    /// <summary>Packs a BF16 matrix of which that can be expected to make products faster; others stay as they are.</summary>
    /// <param name="device">Counts the memory.</param>
    /// <param name="threads">How many threads may work on it.</param>
    public void Pack(CpuDevice device, int threads)
    {
        if (Type != ElementType.BF16 || !PackedLayout.Fits(Outputs, Inputs))
        {
            return;
        }

        Packed = MatrixPacker.Pack(Outputs, Inputs, output => (ushort*)Rows(output, out _), threads);
        if (Packed is not null)
        {
            _device = device;
            device.Allocated(Packed.ByteLength);
        }

        GC.KeepAlive(_parts);
    }

    /// <summary>Row <paramref name="output"/> as float32.</summary>
    public void Unpack(KernelSet kernels, int output, float* destination)
    {
        if (Packed is { } packed)
        {
            PackedTiles.Unpack(packed, output, 0, packed.Layout.Units, destination);
        }
        else
        {
            kernels.Unpack(Type, Rows(output, out _), destination, Inputs);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (!Disposed && Packed is { } packed)
        {
            _device!.Allocated(-packed.ByteLength);
            packed.Dispose();
        }

        Disposed = true;
    }
}
