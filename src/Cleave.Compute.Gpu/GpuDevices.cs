using ILGPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Cleave.Compute.Gpu;

/// <summary>A GPU this machine offers.</summary>
/// <param name="Id">What the command line calls it: "cuda:0".</param>
/// <param name="Kind">"cuda" or "opencl".</param>
/// <param name="Hardware">The device's own name.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="TensorCores">True when the tensor-core kernels run on it.</param>
public sealed record GpuDeviceInfo(string Id, string Kind, string Hardware, long MemoryBytes, bool TensorCores)
{
    /// <summary>What is free of it; null when it was not asked, or its driver does not tell.</summary>
    public long? FreeBytes { get; init; }
}

/// <summary>Lists GPUs. A missing driver means an empty list, never an error.</summary>
public static class GpuDevices
{
    /// <summary>CUDA devices first, then OpenCL devices.</summary>
    /// <param name="askFree">Opens each CUDA device to ask what is free, which takes part of a second.</param>
    public static IReadOnlyList<GpuDeviceInfo> List(bool askFree = false)
    {
        var found = new List<GpuDeviceInfo>();
        Try(builder => builder.Cuda(), context =>
        {
            for (int i = 0; i < context.GetCudaDevices().Count; i++)
            {
                CudaDevice device = context.GetCudaDevice(i);
                found.Add(new GpuDeviceInfo($"cuda:{i}", "cuda", device.Name, device.MemorySize, Cuda.CudaKernels.Supports(device.Architecture))
                {
                    FreeBytes = askFree ? FreeOf(context, i) : null,
                });
            }
        });
        Try(builder => builder.OpenCL(), context =>
        {
            for (int i = 0; i < context.GetCLDevices().Count; i++)
            {
                CLDevice device = context.GetCLDevice(i);
                found.Add(new GpuDeviceInfo($"opencl:{i}", "opencl", device.Name, device.MemorySize, TensorCores: false));
            }
        });
        return found;
    }

    private static long? FreeOf(Context context, int index)
    {
        try
        {
            using CudaAccelerator accelerator = context.CreateCudaAccelerator(index);
            return accelerator.GetFreeMemory();
        }
        catch (CudaException)
        {
            // In exclusive use by another process, or out of memory: it is listed all the same.
            return null;
        }
    }

    private static void Try(Action<Context.Builder> configure, Action<Context> list)
    {
        try
        {
            using Context context = Context.Create(configure);
            list(context);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // No driver of this kind: nothing to list.
        }
    }
}
