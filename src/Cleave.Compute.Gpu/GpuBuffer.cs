using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Device memory of float32 activations that tensors are views of.</summary>
internal sealed class GpuBuffer(MemoryBuffer1D<float, Stride1D.Dense> memory, Action<long> freed) : IDisposable
{
    private readonly Dictionary<(long Offset, int Columns), Cuda.PackedRows> _packed = [];
    private bool _disposed;

    public ArrayView<float> View => memory.View.BaseView;

    public long Bytes { get; } = memory.LengthInBytes;

    /// <summary>Counts writes, so that a packed copy of the contents can be told from a stale one.</summary>
    public long Version { get; set; }

    /// <summary>The tensor-core operand made of a view, or null.</summary>
    public Cuda.PackedRows? PackedOf(long offset, int columns) => _packed.GetValueOrDefault((offset, columns));

    /// <summary>Keeps the operand made of a view, in place of an earlier one.</summary>
    public void Keep(long offset, int columns, Cuda.PackedRows packed)
    {
        if (_packed.Remove((offset, columns), out Cuda.PackedRows? old))
        {
            old.Dispose();
        }

        _packed[(offset, columns)] = packed;
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            freed(Bytes);
            foreach (Cuda.PackedRows packed in _packed.Values)
            {
                packed.Dispose();
            }

            memory.Dispose();
        }
    }
}
