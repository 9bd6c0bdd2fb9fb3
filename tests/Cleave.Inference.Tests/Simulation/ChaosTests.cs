using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Models;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>A link with 50 ms of jitter that stalls for two seconds now and then, on a clock of its own: every decoder, the same tokens.</summary>
public sealed class ChaosTests
{
    private static readonly string s_target = DemoModel.Path;

    public static TheoryData<string> Decoders => [.. DecoderCatalog.Names.Where(name => name != "sequential"), "pipelined:suffix", "pipelined:ngram"];

    [Theory]
    [MemberData(nameof(Decoders))]
    public async Task Jitter_and_stalls_change_nothing_but_the_time(string decoder)
    {
        foreach (SamplingOptions sampling in (SamplingOptions[])[new(), new() { Temperature = 0.7, TopP = 0.9, Seed = 3 }])
        {
            (int[] expected, _) = await RunAsync("sequential", new VirtualLink(), sampling);
            var rough = new VirtualLink { JitterMs = 50, StallProbability = 0.1 };
            (int[] actual, double roughMs) = await RunAsync(decoder, rough, sampling);
            Assert.Equal(expected, actual);

            // The same decoder without the trouble: the trouble has to have happened.
            (int[] calm, double withoutMs) = await RunAsync(decoder, new VirtualLink(), sampling);
            Assert.Equal(expected, calm);
            Assert.True(roughMs > withoutMs, $"{decoder}: {roughMs:F0} ms on the rough link, {withoutMs:F0} on the calm one");
        }
    }

    private static async Task<(int[] Tokens, double Milliseconds)> RunAsync(string decoder, VirtualLink link, SamplingOptions sampling)
    {
        var clock = new VirtualClock();
        double workerMs = 0;
        using IModelSource source = ModelSource.Open(s_target);
        var tokenizer = TokenizerLoader.Load(source);
        using TrustedModel model = TrustedModel.Load(source, tokenizer, new MeteredDevice(new CpuDevice(), clock.Compute), Cut.Default, 1024);
        using DraftModel draft = DraftModel.Load(DemoModel.DraftPath, tokenizer, new MeteredDevice(new CpuDevice(), clock.Compute));
        using LayerStack layers = LayerStack.Load(new MeteredDevice(new CpuDevice(), ms => workerMs += ms), source, model.MiddleRange);
        using KvPool pool = layers.CreatePool(1024);
        var middle = new VirtualMiddle(new LocalMiddle(layers, pool, 512, new ComputeGate()), clock, link, () =>
        {
            (double ms, workerMs) = (workerMs, 0);
            return ms;
        });
        await using var generator = new TextGenerator(
            new SplitSession(model, middle, 512) { Clock = clock }, DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft }));
        var tokens = new List<int>();
        var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = 24, StopAtEndOfTurn = false } };
        await foreach (DecodedToken token in generator.GenerateAsync(DemoModel.GreedyCases[2].PromptIds, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return ([.. tokens], clock.NowMs);
    }
}
