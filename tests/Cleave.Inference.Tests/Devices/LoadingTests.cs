using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Models;
using Cleave.Models.Storage;

namespace Cleave.Inference.Tests.Devices;

/// <summary>How weights come to a device: from the mapped file, never a second time in host memory, and accounted for.</summary>
[Collection(AloneCollection.Name)]
public sealed class LoadingTests
{
    [Fact]
    public void Stored_weights_pass_through_no_buffer_of_ours()
    {
        using IModelSource source = TinyModel.Open();
        using GpuDevice device = DeviceSelector.OpenEmulator();
        long weights = ModelSizes.Of(source).BytesOf(source.Layers);

        // Once to warm up: kernels and types, which are not the model.
        LayerStack.Load(device, source, source.Layers).Dispose();
        long before = GC.GetAllocatedBytesForCurrentThread();
        long native = NativeBlock.LiveBytes;
        var progress = new Steps();
        using LayerStack stack = LayerStack.Load(device, source, source.Layers, progress);
        long managed = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(managed < weights / 4, $"{managed} bytes were allocated while {weights} bytes of weights were loaded");
        Assert.Equal(native, NativeBlock.LiveBytes);
        Assert.Equal([.. Enumerable.Range(1, 6)], progress.Layers);
    }

    [Fact]
    public void Weights_quantised_on_the_way_are_given_back_one_by_one()
    {
        using IModelSource source = TinyModel.Open(WeightPrecision.Q8);
        var sizes = ModelSizes.Of(source);
        using var device = new WatchedDevice(DeviceSelector.OpenEmulator());
        long native = NativeBlock.LiveBytes;
        using LayerStack stack = LayerStack.Load(device, source, source.Layers);
        Assert.Equal(native, NativeBlock.LiveBytes);

        // At most one layer's worth lay in host memory beside the device's copy, of six.
        Assert.InRange(device.PeakHostBytes - native, 1, sizes.LayerBytes.Max());
        LayerHash.Compute(source, 3);
        Assert.Equal(native, NativeBlock.LiveBytes);
    }

    [Theory]
    [InlineData(WeightPrecision.Stored)]
    [InlineData(WeightPrecision.Q8)]
    public void What_a_part_needs_is_what_it_takes(WeightPrecision precision)
    {
        using IModelSource source = TinyModel.Open(precision);
        using GpuDevice device = DeviceSelector.OpenEmulator(embeddingOnHost: true);
        long before = device.AllocatedBytes;
        using var stack = LayerStack.Load(device, source, new LayerRange(1, 4));
        MemoryNeeds needs = MemoryNeeds.OfLayers(ModelSizes.Of(source), source.Config, new LayerRange(1, 4), 100, ElementType.F16);

        // Norm vectors become float32 on a device.
        Assert.InRange(device.AllocatedBytes - before, needs.WeightBytes, needs.WeightBytes + (3 * 4 * 2 * 96));
        before = device.AllocatedBytes;
        using KvPool pool = stack.CreatePool(100);
        Assert.Equal(needs.KvBytes, device.AllocatedBytes - before);
        Assert.Equal(ElementType.F16, pool.Arena.Type);
    }

    [Fact]
    public void Too_little_memory_is_said_before_anything_is_loaded()
    {
        var request = new DeviceRequest { Name = "emulated:1", NeededBytes = 3_000_000, Advise = static free => $"{free} bytes would do for less" };
        GpuMemoryException error = Assert.Throws<GpuMemoryException>(() => DeviceSelector.Open(request));
        Assert.Contains("emulated", error.Message, StringComparison.Ordinal);
        Assert.Contains("would do for less", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_refuses_what_is_over_its_memory_and_names_it()
    {
        using GpuDevice device = DeviceSelector.OpenEmulator(memoryBytes: 1_000_000);
        GpuMemoryException error = Assert.Throws<GpuMemoryException>(() => device.AllocateKv(4, 4096, 64, ElementType.F16));
        Assert.Contains("a cache of 4096 tokens over 4 layers", error.Message, StringComparison.Ordinal);
        Assert.True(device.FreeBytes > 900_000);
    }

    private sealed class Steps : IProgress<LoadProgress>
    {
        public List<int> Layers { get; } = [];

        public void Report(LoadProgress value) => Layers.Add(value.Layers);
    }
}
