using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Devices;

/// <summary>
/// The two sides on unlike devices: a GPU's kernels (on ILGPU's CPU accelerator) on one side, the CPU's on the other. Every decoder gives
/// the tokens that one token at a time gives on the same devices.
/// </summary>
[Collection(AloneCollection.Name)]
public sealed class SplitDeviceTests
{
    private const int Tokens = 3;
    private const int Layers = 6;

    private static readonly int[] Prompt = [1, 17, 99, 17];

    private static readonly SamplingOptions Greedy = new();
    private static readonly SamplingOptions Sampled = new() { Temperature = 0.8, TopK = 20, RepetitionPenalty = 1.1, Seed = 3 };

    // Emulated layers are slow: the cut leaves few of them to that side.
    [Theory]
    [InlineData("emulated", "cpu", 1, 1)]
    [InlineData("cpu", "emulated", 3, 2)]
    public async Task Every_decoder_gives_the_sequential_tokens(string trusted, string worker, int head, int tail)
    {
        var cut = new Cut(head, tail);
        using TrustedModel model = Load(trusted, WeightPrecision.Stored, cut);
        await using Middle middle = new(worker, WeightPrecision.Stored, cut);
        SamplingOptions sampling = trusted == "cpu" ? Greedy : Sampled;
        int[] expected = await RunAsync(model, middle, "sequential", sampling);
        Assert.Equal(Tokens, expected.Length);

        // There is no draft model for this one: what pipelines is shown with another drafter.
        foreach (string decoder in DecoderCatalog.Names.Where(static name => name is not ("sequential" or "draft" or "pipelined")).Append("pipelined:ngram"))
        {
            Assert.Equal(expected, await RunAsync(model, middle, decoder, sampling));
        }

        // Which kernels ran is known to both sides, and says how keys and values were kept.
        string fingerprint = middle.Model.KernelFingerprint;
        Assert.Equal(worker == "emulated", fingerprint.Contains(KernelSource.Hash, StringComparison.Ordinal));
        Assert.Equal(worker == "emulated", fingerprint.EndsWith("+kv-f16", StringComparison.Ordinal));
        Assert.Equal(fingerprint, (await new LoopbackLink(middle.Endpoint).DescribeAsync(TestContext.Current.CancellationToken)).KernelFingerprint);
    }

    [Fact]
    public async Task Unsplit_on_a_GPU_equals_split_on_two_with_weights_quantised_at_load()
    {
        int[] split;
        using (TrustedModel model = Load("emulated", WeightPrecision.Q8, Cut.Default))
        {
            await using Middle middle = new("emulated", WeightPrecision.Q8, Cut.Default);
            split = await RunAsync(model, middle, "ngram", Greedy);
        }

        using TrustedModel whole = TrustedModel.Load(
            TinyModel.Open(WeightPrecision.Q8), TinyModel.Tokenizer, DeviceSelector.Open(new DeviceRequest { Name = "emulated" }), cut: null, 256);
        await using TextGenerator generator = new(new SplitSession(whole, whole.CreateLocalMiddle(128, 256), 128), new SequentialDrafter());
        Assert.Equal(split, await TokensAsync(generator, Greedy));
    }

    [Fact]
    public async Task The_embedding_may_lie_on_either_side_with_the_same_tokens()
    {
        var cut = new Cut(1, 1);
        await using Middle middle = new("cpu", WeightPrecision.Stored, cut);
        var tokens = new List<int[]>();
        var bytes = new List<long>();
        foreach (bool onHost in (bool[])[true, false])
        {
            using TrustedModel model = TrustedModel.Load(
                TinyModel.Open(), TinyModel.Tokenizer, DeviceSelector.Open(new DeviceRequest { Name = "emulated", EmbeddingOnHost = onHost }), cut, 256);
            bytes.Add(model.Device.AllocatedBytes);
            tokens.Add(await RunAsync(model, middle, "sequential", Greedy));
        }

        Assert.Equal(tokens[0], tokens[1]);
        Assert.Equal(ModelSizes.Of(TinyModel.Open()).EmbeddingBytes, bytes[1] - bytes[0]);
    }

    private static TrustedModel Load(string device, WeightPrecision weights, Cut cut) => TrustedModel.Load(
        TinyModel.Open(weights), TinyModel.Tokenizer, DeviceSelector.Open(new DeviceRequest { Name = device }), cut, 256);

    private static async Task<int[]> RunAsync(TrustedModel model, Middle middle, string decoder, SamplingOptions sampling)
    {
        var roster = new WorkerRoster([new LoopbackLink(middle.Endpoint)], new WorkerMatch(model.Source, model.MiddleRange, WireType.F32).Check);
        var options = new RemoteMiddleOptions
        {
            Range = model.MiddleRange,
            WireType = WireType.F32,
            HiddenSize = model.Config.HiddenSize,
            MaxTokens = 128,
        };
        await using TextGenerator generator = new(
            new SplitSession(model, await RemoteMiddle.OpenAsync(roster, options, TestContext.Current.CancellationToken), 128),
            DecoderCatalog.Create(decoder, new DrafterContext()));
        return await TokensAsync(generator, sampling);
    }

    private static async Task<int[]> TokensAsync(TextGenerator generator, SamplingOptions sampling)
    {
        var options = new GenerationOptions
        {
            Sampling = sampling,
            Decoding = new DecodingOptions { MaxTokens = Tokens, StopAtEndOfTurn = false, Threshold = 0.05, MaxRowsPerStep = 8 },
        };
        var tokens = new List<int>();
        await foreach (DecodedToken token in generator.GenerateAsync(Prompt, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return [.. tokens];
    }

    /// <summary>A worker in this process.</summary>
    private sealed class Middle : IAsyncDisposable
    {
        private readonly IComputeDevice _device;

        public Middle(string device, WeightPrecision weights, Cut cut)
        {
            _device = DeviceSelector.Open(new DeviceRequest { Name = device });
            Model = WorkerModel.Load(TinyModel.Open(weights), _device, cut.MiddleRange(Layers), 512);
            var tenants = new TenantTable();
            tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 64, Streams = 64 }, DateTimeOffset.UnixEpoch)]);
            Endpoint = new WorkerEndpoint(Model, tenants, new ServingLimits { MaxRowsPerPass = 64, MaxRowsPerStep = 64 });
        }

        public WorkerModel Model { get; }

        public WorkerEndpoint Endpoint { get; }

        public async ValueTask DisposeAsync()
        {
            await Endpoint.DisposeAsync();
            Model.Dispose();
            _device.Dispose();
        }
    }
}
