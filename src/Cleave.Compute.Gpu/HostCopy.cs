using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>
/// Copies between host and device. A host span may be reused as soon as the call returns: pageable memory is staged by the driver before
/// an asynchronous copy returns, so nothing here waits for the device on the way up.
/// </summary>
internal static class HostCopy
{
    public static unsafe void ToDevice<T>(AcceleratorStream stream, ReadOnlySpan<T> source, ArrayView<T> destination)
        where T : unmanaged
    {
        if (source.IsEmpty)
        {
            return;
        }

        if (stream is ILGPU.Runtime.Cuda.CudaStream)
        {
            fixed (T* pointer = source)
            {
                Cuda.CudaDriver.CopyToDevice(stream, (nint)pointer, destination.LoadEffectiveAddressAsPtr(), (long)source.Length * sizeof(T));
            }

            return;
        }

        destination.SubView(0, source.Length).CopyFromCPU(stream, source);
        stream.Synchronize();
    }

    /// <summary>Waits for the stream and copies.</summary>
    public static void FromDevice<T>(AcceleratorStream stream, ArrayView<T> source, Span<T> destination)
        where T : unmanaged
    {
        source.SubView(0, destination.Length).CopyToCPU(stream, destination);
        stream.Synchronize();
    }
}
