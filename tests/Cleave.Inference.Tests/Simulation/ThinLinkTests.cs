using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>
/// Where rows are dear and guesses mostly wrong, guessing must not cost more than 3 %. The text is drawn from a few tokens at a high temperature:
/// each of them was seen before and is followed by another one every time, so that lookup always claims something and is wrong.
/// </summary>
public sealed class ThinLinkTests
{
    private static readonly SamplingOptions s_noise = new() { Temperature = 5, Seed = 11 };
    private static readonly int[] s_few = [.. Enumerable.Range(300, 48)];

    /// <summary>A row of the bundled model in float32, and one of a 7B model: on 100 Mbit/s it takes 1.3 ms each way.</summary>
    public static TheoryData<int, double, bool> Links => new()
    {
        { 1552, 8, false },
        { 1552, 8, true },
        { 16400, 100, false },
        { 16400, 100, true },
        { 16400, 1000, false },
    };

    [Theory]
    [MemberData(nameof(Links))]
    public async Task Guesses_that_do_not_come_true_cost_next_to_nothing(int rowBytes, double mbit, bool withDraft)
    {
        var link = new VirtualLink { RowBytes = rowBytes, UpMbit = mbit, DownMbit = mbit };
        (double sequentialMs, double autoMs) = (0, 0);
        foreach (int seed in (int[])[1, 2, 3])
        {
            int[] prompt = new Random(seed).GetItems(s_few, 2 * s_few.Length);
            var mask = new FewTokens();
            (int[] expected, double before) = await SimulatedSplit.RunAsync("sequential", link, s_noise, prompt, tokens: 40, mask: mask);
            (int[] actual, double after) = await SimulatedSplit.RunAsync(DecoderCatalog.Best, link, s_noise, prompt, tokens: 40, withDraft, mask);
            Assert.Equal(expected, actual);
            Assert.True(after <= 1.045 * before, $"one answer took {after:F0} ms, {before:F0} one token at a time");
            (sequentialMs, autoMs) = (sequentialMs + before, autoMs + after);
        }

        Assert.True(autoMs <= 1.03 * sequentialMs, $"{autoMs:F0} ms, {sequentialMs:F0} one token at a time");
    }

    [Fact]
    public async Task Guesses_that_come_true_are_not_held_back()
    {
        // Copied text over the same dear rows: most of it comes with few round trips.
        using TrustedModel model = DemoModel.Load();
        string line = "2026-01-05 ok disk=12 net=30\n";
        int[] copied = [model.Tokenizer.BosId!.Value, .. model.Tokenizer.Encode(string.Concat(Enumerable.Repeat(line, 8)), parseSpecial: false)];
        var link = new VirtualLink { RowBytes = 16400 };
        (_, double sequentialMs) = await SimulatedSplit.RunAsync("sequential", link, new SamplingOptions(), copied, tokens: 40);
        (_, double autoMs) = await SimulatedSplit.RunAsync(DecoderCatalog.Best, link, new SamplingOptions(), copied, tokens: 40, withDraft: false);
        Assert.True(autoMs < 0.6 * sequentialMs, $"{autoMs:F0} ms, {sequentialMs:F0} one token at a time");
    }

    private sealed class FewTokens : ITokenMask
    {
        public void Apply(Span<float> logits)
        {
            logits[..s_few[0]].Fill(float.NegativeInfinity);
            logits[(s_few[^1] + 1)..].Fill(float.NegativeInfinity);
        }

        public bool Allows(int token) => token >= s_few[0] && token <= s_few[^1];

        public ITokenMask Next(int token) => this;
    }
}
