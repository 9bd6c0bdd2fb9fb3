using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Inference.Privacy;
using Cleave.Inference.Tests.Devices;
using Cleave.Inference.Verification;
using Cleave.Models;

namespace Cleave.Inference.Tests.Verification;

/// <summary>BF16 checkpoints computed from packed weights: every number a reference is compared with is the one of the stored weights.</summary>
public sealed class PackedCheckpointTests : IDisposable
{
    private const string Wide = "\"hidden_size\": 128, \"intermediate_size\": 256, \"head_dim\": 32";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-packed-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("llama", "")]
    [InlineData("llama", ", \"tie_word_embeddings\": true")]
    [InlineData("qwen2", ", \"use_sliding_window\": false")]
    [InlineData("phi3", "")]
    [InlineData("mixtral", ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2, \"sliding_window\": null")]
    public void Agrees_with_the_slow_model_to_the_last_bit_as_from_stored_weights(string type, string changes)
    {
        Checkpoint checkpoint = RandomCheckpoint.Make(type, $"{{{Wide}{changes}}}", dtype: "BF16", layers: 2);
        ReferenceActivations golden = ReferenceActivations.Open(SlowReference.Write(checkpoint, Path.Combine(_folder.FullName, "golden.safetensors"), 40));
        string model = checkpoint.WriteTo(_folder, "model");
        (VerificationReport stored, long nothing) = Verify(model, golden, WeightPrecision.Stored);
        (VerificationReport packed, long bytes) = Verify(model, golden, WeightPrecision.Packed);
        using var device = new CpuDevice(packBF16: true);
        Assert.Equal(0, nothing);
        Assert.Equal(device.PacksBF16, bytes > 0);
        Assert.True(packed.Passed);
        Assert.Equal(stored.LayerErrors, packed.LayerErrors);
        Assert.Equal(stored.LogitsError, packed.LogitsError);
        Assert.Equal(stored.GreedyEqualUntil, packed.GreedyEqualUntil);
    }

    [Fact]
    public void Packing_changes_no_hash_that_the_sides_compare()
    {
        string model = RandomCheckpoint.Make("llama", $"{{{Wide}}}", dtype: "BF16", layers: 2).WriteTo(_folder, "model");
        using IModelSource stored = ModelSource.Open(model);
        using IModelSource packed = ModelSource.Open(model, WeightPrecision.Packed);
        Assert.Equal(LayerHash.Compute(stored, 1), LayerHash.Compute(packed, 1));
        using var one = new CpuDevice();
        using var other = new CpuDevice(packBF16: true);
        Assert.Equal(one.Fingerprint, other.Fingerprint);
    }

    [Fact]
    public void Sizes_say_what_packing_takes()
    {
        string model = RandomCheckpoint.Make("llama", $"{{{Wide}}}", dtype: "BF16", layers: 2).WriteTo(_folder, "model");
        using IModelSource source = ModelSource.Open(model);
        using var device = new CpuDevice(packBF16: true);
        long before = device.AllocatedBytes;
        using LayerStack layers = LayerStack.Load(device, source, source.Layers);
        long taken = device.AllocatedBytes - before;
        long expected = ModelSizes.Of(source, WeightPrecision.Packed).BytesOf(source.Layers);
        Assert.True(expected < ModelSizes.Of(source).BytesOf(source.Layers));
        if (device.PacksBF16)
        {
            // Stacked matrices share tiles and norms become float32; numbers kept whole come on top.
            Assert.InRange(taken, 0.95 * expected, 1.1 * expected);
        }
    }

    [Theory]
    [InlineData("BF16", Wide, true)]
    [InlineData("F16", Wide, false)]
    [InlineData("BF16", "\"hidden_size\": 96, \"intermediate_size\": 160", false)]
    public void A_model_in_which_nothing_is_packed_is_said_to_be_one(string dtype, string shape, bool packs)
    {
        using IModelSource source = ModelSource.Open(RandomCheckpoint.Make("llama", $"{{{shape}}}", dtype: dtype, layers: 2).WriteTo(_folder, "model"));
        var said = new List<string>();
        Assert.Equal(packs, WeightPacking.Applies(source, WeightPrecision.Packed, said.Add));
        Assert.Equal(packs, WeightPacking.Bytes(source) is not null);
        Assert.Equal(packs, said.Count == 0);
        Assert.All(said, line => Assert.Contains(source.Path, line, StringComparison.Ordinal));
        Assert.False(WeightPacking.Applies(source, WeightPrecision.Stored, said.Add));
        Assert.Equal(packs, said.Count == 0);
    }

    /// <summary>Rows are only looked up: a copy of the whole matrix for them, packed or on a GPU, would take seconds and gigabytes.</summary>
    [Fact]
    public void How_long_embeddings_are_is_told_without_loading_them_for_products()
    {
        using IModelSource source = ModelSource.Open(RandomCheckpoint.Make("llama", $"{{{Wide}}}", dtype: "BF16", layers: 1).WriteTo(_folder, "model"));
        using var cpu = new CpuDevice(packBF16: true);
        using var device = new LookingUp(cpu);
        Assert.True(EmbeddingNorm.Median(device, source) > 0);
        Assert.Equal(1, device.Embeddings);
    }

    [Fact]
    public void A_device_that_does_not_pack_says_so()
    {
        var said = new List<string>();
        using IComputeDevice gpu = DeviceSelector.Open(new DeviceRequest { Name = DeviceSelector.Emulated, PackBF16 = true }, said.Add);
        Assert.Contains("not packed", Assert.Single(said), StringComparison.Ordinal);
        said.Clear();
        using IComputeDevice cpu = DeviceSelector.Open(new DeviceRequest { Name = "cpu", PackBF16 = true }, said.Add);
        Assert.Equal(((CpuDevice)cpu).PacksBF16, said.Count == 0);
    }

    /// <summary>What the comparison found, and how many bytes the device held for the weights of the layers.</summary>
    private static (VerificationReport Report, long WeightBytes) Verify(string model, ReferenceActivations golden, WeightPrecision weights)
    {
        using IModelSource source = ModelSource.Open(model, weights);
        using IComputeDevice device = DeviceSelector.Open(new DeviceRequest { Name = "cpu", PackBF16 = weights == WeightPrecision.Packed });
        long bytes;
        using (DeviceWeight weight = device.LoadWeight([source.Layer(0, LayerTensor.AttentionOutput)!]))
        {
            bytes = weight.DeviceBytes;
        }

        using var verifier = new ModelVerifier(device, source, 64);
        return (verifier.Compare(golden), bytes);
    }

    /// <summary>Loads no weights but embeddings.</summary>
    private sealed class LookingUp(IComputeDevice inner) : DecoratedDevice(inner), IComputeDevice
    {
        private readonly IComputeDevice _inner = inner;

        public int Embeddings { get; private set; }

        public DeviceWeight LoadEmbedding(TensorData embedding)
        {
            Embeddings++;
            return _inner.LoadEmbedding(embedding);
        }

        public override DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked) => throw new InvalidOperationException("loaded for products");
    }
}
