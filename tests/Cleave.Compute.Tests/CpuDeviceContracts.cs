namespace Cleave.Compute.Tests;

public sealed class ScalarDeviceTests : DeviceContract
{
    protected override IComputeDevice Create() => new CpuDevice(KernelPath.Scalar, 1);
}

public sealed class PortableDeviceTests : DeviceContract
{
    protected override IComputeDevice Create() => CpuPaths.Create(KernelPath.Portable, 2);
}

public sealed class Avx2DeviceTests : DeviceContract
{
    protected override IComputeDevice Create() => CpuPaths.Create(KernelPath.Avx2, 3);
}

public sealed class Avx512DeviceTests : DeviceContract
{
    protected override IComputeDevice Create() => CpuPaths.Create(KernelPath.Avx512, 2);
}

internal static class CpuPaths
{
    /// <summary>The path asked for; the best there is where the machine lacks it, so that the body runs all the same.</summary>
    public static CpuDevice Create(KernelPath path, int threads) =>
        new(CpuDevice.SupportedPaths.Contains(path) ? path : CpuDevice.SupportedPaths[0], threads);
}
