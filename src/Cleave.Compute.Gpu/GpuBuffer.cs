using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Device memory of float32 activations that tensors are views of.</summary>
internal sealed class GpuBuffer(MemoryBuffer1D<float, Stride1D.Dense> memory, Action<long> freed) : IDisposable
{
    private bool _disposed;

    public ArrayView<float> View => memory.View.BaseView;

    public long Bytes { get; } = memory.LengthInBytes;

    /// <summary>Counts writes, so that a packed copy of the contents can be told from a stale one.</summary>
    public long Version { get; set; }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            freed(Bytes);
            memory.Dispose();
        }
    }
}
