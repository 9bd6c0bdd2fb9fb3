using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Device memory that grows to the largest use and is then reused: work queued on one stream never overlaps.</summary>
internal sealed class Scratch<T>(Accelerator accelerator, Action<long> allocated) : IDisposable
    where T : unmanaged
{
    private MemoryBuffer1D<T, Stride1D.Dense>? _memory;

    /// <summary>At least <paramref name="length"/> elements, contents undefined.</summary>
    public ArrayView<T> Get(long length)
    {
        if (_memory is null || _memory.Length < length)
        {
            accelerator.DefaultStream.Synchronize();
            Dispose();
            _memory = accelerator.Allocate1D<T>(Math.Max(1, length));
            allocated(_memory.LengthInBytes);
        }

        return _memory.View.BaseView;
    }

    public void Dispose()
    {
        if (_memory is not null)
        {
            allocated(-_memory.LengthInBytes);
            _memory.Dispose();
            _memory = null;
        }
    }
}
