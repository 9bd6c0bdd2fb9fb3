using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu;

/// <summary>
/// Memory in use on an NVIDIA GPU as the driver's management library tells it, which takes no context: so what a context itself takes can be
/// seen. The library comes with the driver; without it nothing is known.
/// </summary>
internal static unsafe partial class NvidiaMemory
{
    private const string Library = "nvidia-ml";

    static NvidiaMemory() => NativeLibrary.SetDllImportResolver(
        typeof(NvidiaMemory).Assembly,
        static (name, _, _) => name == Library && NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvml.dll" : "libnvidia-ml.so.1", out nint handle) ? handle : 0);

    /// <summary>Bytes in use by all processes, or null when the library does not tell.</summary>
    public static long? UsedBytes(CudaDevice device)
    {
        try
        {
            string id = string.Create(CultureInfo.InvariantCulture, $"{device.PCIDomainId:X4}:{device.PCIBusId:X2}:{device.PCIDeviceId:X2}.0\0");
            if (Init() != 0)
            {
                return null;
            }

            Memory memory;
            fixed (byte* name = Encoding.ASCII.GetBytes(id))
            {
                return HandleByPciBusId(name, out nint handle) == 0 && MemoryInfo(handle, &memory) == 0 ? (long)memory.Used : null;
            }
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return null;
        }
    }

    [LibraryImport(Library, EntryPoint = "nvmlInit_v2")]
    private static partial int Init();

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetHandleByPciBusId_v2")]
    private static partial int HandleByPciBusId(byte* pciBusId, out nint device);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetMemoryInfo")]
    private static partial int MemoryInfo(nint device, Memory* memory);

    // nvmlMemory_t.
    [StructLayout(LayoutKind.Sequential)]
    private struct Memory
    {
        public ulong Total;
        public ulong Free;
        public ulong Used;
    }
}
