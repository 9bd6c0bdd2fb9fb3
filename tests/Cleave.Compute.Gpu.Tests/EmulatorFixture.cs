namespace Cleave.Compute.Gpu.Tests;

/// <summary>One device for all tests of a class: kernels are compiled once.</summary>
public sealed class EmulatorFixture : IDisposable
{
    public GpuDevice Device { get; } = DeviceSelector.OpenEmulator();

    public void Dispose() => Device.Dispose();
}
