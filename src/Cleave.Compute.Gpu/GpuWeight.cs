using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>A weight in device memory, as stored in its file or packed for the tensor cores; or, for an embedding, left in host memory.</summary>
internal sealed class GpuWeight : DeviceWeight
{
    private readonly MemoryBuffer1D<ushort, Stride1D.Dense>? _memory;
    private readonly Action<long> _freed;
    private bool _disposed;

    public GpuWeight(
        ElementType type, int outputs, int inputs, MemoryBuffer1D<ushort, Stride1D.Dense>? memory, bool packed, TensorData? host, Action<long> freed)
    {
        Type = type;
        Outputs = outputs;
        Inputs = inputs;
        _memory = memory;
        IsPacked = packed;
        Host = host;
        _freed = freed;
    }

    /// <inheritdoc />
    public override int Outputs { get; }

    /// <inheritdoc />
    public override int Inputs { get; }

    /// <inheritdoc />
    public override ElementType Type { get; }

    /// <inheritdoc />
    public override long DeviceBytes => _memory?.LengthInBytes ?? 0;

    /// <summary>True when laid out in tensor-core fragments.</summary>
    public bool IsPacked { get; }

    /// <summary>True when bands hold gates beside their ups (<see cref="GpuDevice.LoadGated"/>).</summary>
    public bool IsGated { get; init; }

    /// <summary>The rows in host memory when the weight was left there.</summary>
    public TensorData? Host { get; }

    /// <summary>16-bit units from one stored row to the next (unpacked weights).</summary>
    public int RowUnits => checked((int)(Type.RowBytes(Inputs) / 2));

    public ArrayView<ushort> View => _memory!.View.BaseView;

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _freed(DeviceBytes);
            _memory?.Dispose();
        }
    }
}
