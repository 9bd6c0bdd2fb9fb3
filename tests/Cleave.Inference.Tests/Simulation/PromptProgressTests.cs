using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>A long prompt over a thin link: how far it is is told as the worker answers.</summary>
public sealed class PromptProgressTests
{
    [Fact]
    public async Task EveryChunkOfALongPromptIsReportedBeforeTheFirstToken()
    {
        var progress = new Reports();
        int[] prompt = [.. Enumerable.Range(300, 201)];
        (int[] tokens, _) = await SimulatedSplit.RunAsync(
            "auto", new VirtualLink { UpMbit = 5, DownMbit = 5 }, new SamplingOptions(), prompt, tokens: 4, options: o => o with
            {
                PrefillProgress = progress,
                Decoding = o.Decoding with { PrefillChunkRows = 64 },
            });
        Assert.Equal(4, tokens.Length);
        Assert.Equal([64, 128, 192, 200], progress.Seen);

        // Nothing to tell of a prompt that goes in one piece.
        progress.Seen.Clear();
        await SimulatedSplit.RunAsync("auto", new VirtualLink(), new SamplingOptions(), prompt[..40], tokens: 4, options: o => o with { PrefillProgress = progress });
        Assert.Empty(progress.Seen);
    }

    private sealed class Reports : IProgress<int>
    {
        public List<int> Seen { get; } = [];

        public void Report(int value) => Seen.Add(value);
    }
}
