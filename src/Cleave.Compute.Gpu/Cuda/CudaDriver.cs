using System.Runtime.InteropServices;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>The few calls of the NVIDIA driver that ILGPU does not offer.</summary>
internal static unsafe partial class CudaDriver
{
    private const int FunctionMaxDynamicShared = 8;
    private const int LaunchProgrammaticSerialization = 6;

    /// <summary>Copies host memory to the device in stream order; pageable memory may be reused when this returns.</summary>
    public static void CopyToDevice(AcceleratorStream stream, nint source, nint destination, long bytes) =>
        Check(MemcpyHtoDAsync(destination, source, (nuint)bytes, ((CudaStream)stream).StreamPtr), "copy to the device");

    /// <summary>Lets a kernel use up to <paramref name="bytes"/> of dynamic shared memory.</summary>
    public static void AllowShared(nint function, int bytes) =>
        Check(FuncSetAttribute(function, FunctionMaxDynamicShared, bytes), "raise the shared memory limit");

    /// <summary>
    /// Launches a kernel. With <paramref name="overlap"/> it may start before the kernel ahead of it has ended
    /// (programmatic dependent launch) and must itself wait (griddepcontrol.wait) before it touches what that kernel writes or reads.
    /// </summary>
    public static void Launch(AcceleratorStream stream, nint function, (int X, int Y, int Z) grid, int threads, int sharedBytes, bool overlap, void** arguments)
    {
        LaunchAttribute attribute = default;
        attribute.Id = LaunchProgrammaticSerialization;
        attribute.Value = 1;
        LaunchConfig config = default;
        config.GridX = (uint)grid.X;
        config.GridY = (uint)grid.Y;
        config.GridZ = (uint)grid.Z;
        config.BlockX = (uint)threads;
        config.BlockY = 1;
        config.BlockZ = 1;
        config.SharedBytes = (uint)sharedBytes;
        config.Stream = ((CudaStream)stream).StreamPtr;
        config.Attributes = &attribute;
        config.AttributeCount = overlap ? 1u : 0u;
        Check(LaunchKernelEx(&config, function, arguments, null), "launch a kernel");
    }

    public static void Check(int error, string what)
    {
        if (error != 0)
        {
            throw new InvalidOperationException($"the NVIDIA driver could not {what}: {CudaAPI.CurrentAPI.GetErrorString((CudaError)error)} ({error})");
        }
    }

    [LibraryImport("libcuda.so.1", EntryPoint = "cuMemcpyHtoDAsync_v2")]
    private static partial int MemcpyHtoDAsync(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport("libcuda.so.1", EntryPoint = "cuFuncSetAttribute")]
    private static partial int FuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport("libcuda.so.1", EntryPoint = "cuLaunchKernelEx")]
    private static partial int LaunchKernelEx(LaunchConfig* config, nint function, void** arguments, void** extra);

    // CUlaunchAttribute: id, padding to 8, a union of 64 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    private struct LaunchAttribute
    {
        [FieldOffset(0)]
        public int Id;

        [FieldOffset(8)]
        public int Value;
    }

    // CUlaunchConfig.
    [StructLayout(LayoutKind.Sequential)]
    private struct LaunchConfig
    {
        public uint GridX;
        public uint GridY;
        public uint GridZ;
        public uint BlockX;
        public uint BlockY;
        public uint BlockZ;
        public uint SharedBytes;
        public nint Stream;
        public LaunchAttribute* Attributes;
        public uint AttributeCount;
    }
}
