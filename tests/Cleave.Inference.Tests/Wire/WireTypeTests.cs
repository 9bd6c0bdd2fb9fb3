using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Wire;

/// <summary>
/// What each wire type costs: f32 nothing, the others a stated divergence from the unsplit model; and none of them sets one decoder
/// apart from another, since every row is quantised by itself.
/// </summary>
public sealed class WireTypeTests : IAsyncDisposable
{
    private static readonly LayerRange s_middle = new(2, 10);
    private readonly TrustedModel _model = DemoModel.Load(Cut.Default);
    private readonly WorkerModel _workerModel;
    private readonly WorkerEndpoint _worker;

    public WireTypeTests()
    {
        _workerModel = WorkerModel.Load(ModelSource.Open(DemoModel.Path), new CpuDevice(), s_middle, 8192);
        var tenants = new TenantTable();
        tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 100, Streams = 100 }, DateTimeOffset.UnixEpoch)]);
        _worker = new WorkerEndpoint(_workerModel, tenants);
    }

    /// <summary>Mean KL divergence per token of the next-token distributions, unsplit against split, both reading the same tokens.</summary>
    [Theory]
    [InlineData(WireType.F32, 0)]
    [InlineData(WireType.F16, 1e-6)]
    [InlineData(WireType.BF16, 1e-4)]
    [InlineData(WireType.Q8, 2e-3)]
    public async Task The_divergence_from_unsplit_is_within_what_is_stated(WireType wire, double statedNats)
    {
        using TrustedModel unsplit = DemoModel.Load();
        double sum = 0;
        int tokens = 0;
        foreach (DemoModel.GreedyCase reference in DemoModel.GreedyCases.Take(4))
        {
            // Up to the first token that differs both runs read the same text; a reference text keeps them together past it.
            int[] text = [.. reference.PromptIds, .. reference.GreedyIds.Take(24)];
            for (int length = reference.PromptIds.Length; length < text.Length; length += 4)
            {
                float[] expected = await NextLogitsAsync(new SplitSession(unsplit, unsplit.CreateLocalMiddle(256, 256), 256), text[..length]);
                float[] actual = await NextLogitsAsync(await RemoteAsync(wire), text[..length]);
                sum += Divergence(expected, actual);
                tokens++;
                Assert.True(wire != WireType.F32 || expected.AsSpan().SequenceEqual(actual), "f32 on the wire changes no bit");
            }
        }

        Assert.InRange(sum / tokens, 0, statedNats);
        Assert.True(wire == WireType.F32 || sum > 0, "a wire type with fewer bits that changes nothing was not in use");
    }

    [Theory]
    [InlineData(WireType.F16)]
    [InlineData(WireType.BF16)]
    [InlineData(WireType.Q8)]
    public async Task Decoders_agree_bit_for_bit_at_every_wire_type(WireType wire)
    {
        using DraftModel draft = DraftModel.Load(DemoModel.DraftPath, _model.Tokenizer);
        foreach (DemoModel.GreedyCase reference in DemoModel.GreedyCases.Take(2))
        {
            LogitRecorder expected = await RunAsync(await RemoteAsync(wire), new SequentialDrafter(), reference.PromptIds, 24);
            foreach (string decoder in new[] { "suffix", "draft", "pipelined" })
            {
                IDrafter drafter = DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft });
                LogitRecorder actual = await RunAsync(await RemoteAsync(wire), drafter, reference.PromptIds, 24);
                Assert.Equal(expected.Tokens, actual.Tokens);
                Assert.True(expected.Logits.SequenceEqual(actual.Logits), $"{decoder}: the tokens agree, the logits do not");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _worker.DisposeAsync();
        _workerModel.Dispose();
        _model.Dispose();
    }

    private async Task<SplitSession> RemoteAsync(WireType wire)
    {
        RemoteMiddle middle = await RemoteMiddle.OpenAsync(
            new WorkerRoster([new LoopbackLink(_worker)], _ => { }),
            new RemoteMiddleOptions { Range = s_middle, HiddenSize = _model.Config.HiddenSize, MaxTokens = 256, WireType = wire },
            TestContext.Current.CancellationToken);
        return new SplitSession(_model, middle, 256);
    }

    private static async Task<float[]> NextLogitsAsync(SplitSession session, int[] text) =>
        [.. (await RunAsync(session, new SequentialDrafter(), text, 1)).Logits];

    private static async Task<LogitRecorder> RunAsync(SplitSession session, IDrafter drafter, int[] prompt, int maxTokens)
    {
        await using TextGenerator generator = new(session, drafter);
        var recorder = new LogitRecorder();
        var options = new GenerationOptions
        {
            Decoding = new DecodingOptions { MaxTokens = maxTokens, Threshold = 0.02, StopAtEndOfTurn = false },
            Observer = recorder,
        };
        await foreach (DecodedToken _ in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
        }

        return recorder;
    }

    /// <summary>KL(softmax(expected) || softmax(actual)) in nats.</summary>
    private static double Divergence(float[] expected, float[] actual)
    {
        double[] p = LogSoftmax(expected);
        double[] q = LogSoftmax(actual);
        double sum = 0;
        for (int i = 0; i < p.Length; i++)
        {
            sum += Math.Exp(p[i]) * (p[i] - q[i]);
        }

        return Math.Max(0, sum);
    }

    private static double[] LogSoftmax(float[] logits)
    {
        double top = logits.Max();
        double total = Math.Log(logits.Sum(logit => Math.Exp(logit - top)));
        return [.. logits.Select(logit => logit - top - total)];
    }
}
