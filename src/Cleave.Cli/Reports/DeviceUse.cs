using Cleave.Compute;
using Cleave.Compute.Gpu;

namespace Cleave.Cli.Reports;

/// <summary>A device at work, and the memory taken of it.</summary>
/// <param name="Name">What the command line calls it.</param>
/// <param name="Hardware">The hardware's own name; "" for a CPU.</param>
/// <param name="Kernels">Its kernel fingerprint.</param>
/// <param name="Bytes">Allocated for weights, caches and activations; a CPU reads weights in the mapped file, which is not counted.</param>
/// <param name="DriverBytes">What the driver's context took when the device was opened; 0 for a CPU.</param>
/// <param name="TotalBytes">The device's memory; 0 for a CPU.</param>
internal sealed record DeviceUse(string Name, string Hardware, string Kernels, long Bytes, long DriverBytes, long TotalBytes)
{
    /// <summary>Looks at a device.</summary>
    public static DeviceUse Of(IComputeDevice device) => device is GpuDevice gpu
        ? new DeviceUse(gpu.Name, gpu.Hardware, gpu.Fingerprint, gpu.AllocatedBytes, gpu.DriverBytes, gpu.TotalBytes)
        : new DeviceUse(device.Name, "", device.Fingerprint, device.AllocatedBytes, 0, 0);
}
