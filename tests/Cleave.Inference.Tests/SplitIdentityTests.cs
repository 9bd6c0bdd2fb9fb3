using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Tests;

/// <summary>Split equals unsplit, bit for bit: every logit of every token, for every cut of the bundled model.</summary>
public sealed class SplitIdentityTests
{
    private const int Layers = 12;

    [Fact]
    public async Task Every_cut_gives_the_unsplit_logits()
    {
        int[] prompt = DemoModel.GreedyCases[1].PromptIds;
        (int[] Tokens, float[] Logits) unsplit = await RunAsync(null, prompt);
        for (int head = 1; head < Layers - 1; head++)
        {
            for (int tail = 1; head + tail < Layers; tail++)
            {
                (int[] tokens, float[] logits) = await RunAsync(new Cut(head, tail), prompt);
                Assert.Equal(unsplit.Tokens, tokens);
                Assert.True(unsplit.Logits.AsSpan().SequenceEqual(logits), $"head {head}, tail {tail}: logits differ");
            }
        }
    }

    [Theory]
    [InlineData(0, 1, "at least 1")]
    [InlineData(1, 0, "at least 1")]
    [InlineData(6, 6, "leave nothing of 12")]
    public void Impossible_cuts_say_why(int head, int tail, string words) => Assert.Contains(words, new Cut(head, tail).Validate(Layers));

    private static async Task<(int[] Tokens, float[] Logits)> RunAsync(Cut? cut, int[] prompt)
    {
        using TrustedModel model = DemoModel.Load(cut, 256);
        await using TextGenerator generator = new(new SplitSession(model, model.CreateLocalMiddle(128, 256), 128), new SequentialDrafter());
        var recorder = new LogitRecorder();
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 4, PrefillChunkRows = 7 }, Observer = recorder };
        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
            Assert.False(token.Drafted);
        }

        return ([.. recorder.Tokens], [.. recorder.Logits]);
    }
}
