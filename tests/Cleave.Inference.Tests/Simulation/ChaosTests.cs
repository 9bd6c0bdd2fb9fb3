using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>A link with 50 ms of jitter that stalls for two seconds now and then, on a clock of its own: every decoder, the same tokens.</summary>
public sealed class ChaosTests
{
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

    private static Task<(int[] Tokens, double Milliseconds)> RunAsync(string decoder, VirtualLink link, SamplingOptions sampling) =>
        SimulatedSplit.RunAsync(decoder, link, sampling, DemoModel.GreedyCases[2].PromptIds, tokens: 24);
}
