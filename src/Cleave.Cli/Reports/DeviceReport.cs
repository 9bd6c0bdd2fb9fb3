using Cleave.Compute;
using Cleave.Compute.Gpu;

namespace Cleave.Cli.Reports;

/// <summary>A device that <c>devices</c> lists.</summary>
/// <param name="Name">What <c>--device</c> calls it.</param>
/// <param name="Hardware">The hardware's own name.</param>
/// <param name="MemoryBytes">Its memory; for the CPU, what this process may use.</param>
/// <param name="FreeBytes">What is free of it; null where the driver does not tell.</param>
/// <param name="Kernels">Which kernels it runs.</param>
internal sealed record DeviceReport(string Name, string Hardware, long MemoryBytes, long? FreeBytes, string Kernels)
{
    /// <summary>Every device of this machine, the CPU first.</summary>
    public static IReadOnlyList<DeviceReport> All()
    {
        using var cpu = new CpuDevice();
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        return
        [
            new DeviceReport("cpu", $"{cpu.Threads} threads", memory.TotalAvailableMemoryBytes, null, cpu.Path.ToString().ToLowerInvariant()),
            .. GpuDevices.List(askFree: true).Select(static gpu => new DeviceReport(
                gpu.Id, gpu.Hardware, gpu.MemoryBytes, gpu.FreeBytes, gpu.Kind == "cuda" ? gpu.TensorCores ? "tensor cores" : "plain" : "plain")),
        ];
    }
}
