namespace Cleave.Compute.Gpu.Tests;

public sealed class DeviceSelectorTests
{
    [Theory]
    [InlineData("cpu", "cpu", 0)]
    [InlineData("AUTO", "auto", 0)]
    [InlineData("", "auto", 0)]
    [InlineData("cuda", "cuda", 0)]
    [InlineData("cuda:3", "cuda", 3)]
    [InlineData("opencl:1", "opencl", 1)]
    public void Parses(string text, string kind, int index) => Assert.Equal((kind, index), DeviceSelector.Parse(text));

    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda:1:2")]
    [InlineData("cpu:0")]
    public void Refuses_what_it_does_not_know(string text) =>
        Assert.Contains(DeviceSelector.Syntax, Assert.Throws<DeviceUnavailableException>(() => DeviceSelector.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_device_that_is_not_there_is_refused_with_what_is()
    {
        var error = Assert.Throws<DeviceUnavailableException>(() => DeviceSelector.Open(new DeviceRequest { Name = "cuda:97" }));
        Assert.Contains("cpu", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_kernel_hash_is_part_of_the_fingerprint()
    {
        using GpuDevice device = DeviceSelector.OpenEmulator();
        Assert.Matches("^[0-9a-f]{16}$", KernelSource.Hash);
        Assert.Contains(KernelSource.Hash, device.Fingerprint, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_is_accounted_and_given_back()
    {
        using GpuDevice device = DeviceSelector.OpenEmulator();
        long before = device.AllocatedBytes;
        DeviceTensor tensor = device.Allocate(10, 100);
        KvArena arena = device.AllocateKv(2, 10, 64, ElementType.F16);
        Assert.Equal(before + 4000 + (10 * arena.BytesPerSlot), device.AllocatedBytes);
        tensor.Dispose();
        arena.Dispose();
        arena.Dispose();
        Assert.Equal(before, device.AllocatedBytes);
    }
}
