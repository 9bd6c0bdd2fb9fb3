using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Models;

namespace Cleave.Inference.Tests.Sampling;

/// <summary>Whole answers with rows in short are those with whole rows, for every decoder and filter.</summary>
public sealed class BriefDecodingTests
{
    private static readonly SamplingOptions[] Samplings =
    [
        new(),
        new() { RepetitionPenalty = 1.2, FrequencyPenalty = 0.2, PresencePenalty = 0.1 },
        new() { Temperature = 0.8, TopK = 40, Seed = 1 },
        new() { Temperature = 0.8, TopP = 0.9, Seed = 2 },
        new() { Temperature = 1, MinP = 0.05, Seed = 3 },
        new() { Temperature = 0.9, TopK = 30, TopP = 0.95, MinP = 0.02, RepetitionPenalty = 1.1, Seed = 4 },
        new() { Temperature = 1, Seed = 5 },

        // Reaches past what is known of a row in short.
        new() { Temperature = 3, TopP = 0.995, Seed = 6 },
    ];

    [Theory]
    [InlineData("sequential")]
    [InlineData("suffix")]
    [InlineData("jacobi")]
    [InlineData("auto")]
    public async Task Tokens_are_those_of_whole_rows(string decoder)
    {
        using TrustedModel whole = DemoModel.Load(Cut.Default);
        IModelSource source = ModelSource.Open(DemoModel.Path);
        var device = new BriefDevice(new CpuDevice());
        using TrustedModel brief = TrustedModel.Load(source, TokenizerLoader.Load(source), device, Cut.Default, 4096);
        int tokens = 0;
        long completed = 0;
        foreach (SamplingOptions sampling in Samplings)
        {
            foreach (DemoModel.GreedyCase prompt in DemoModel.GreedyCases.Take(2))
            {
                (List<int> expected, _) = await RunAsync(whole, decoder, prompt.PromptIds, sampling);
                (List<int> actual, long asked) = await RunAsync(brief, decoder, prompt.PromptIds, sampling);
                Assert.Equal(expected, actual);
                tokens += actual.Count;
                completed += asked;
            }
        }

        // Both ways were taken, the short one far more often.
        Assert.True(device.RowsInShort > tokens / 2, $"{device.RowsInShort} rows in short for {tokens} tokens");
        Assert.InRange(completed, 1, tokens / 4);
    }

    private static async Task<(List<int> Tokens, long Completed)> RunAsync(TrustedModel model, string decoder, int[] prompt, SamplingOptions sampling)
    {
        await using TextGenerator generator = new(DemoModel.LocalSession(model), DecoderCatalog.Create(decoder, new DrafterContext()));
        var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = 24, Threshold = 0.05 } };
        var tokens = new List<int>();
        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return (tokens, generator.Session.RowsCompleted);
    }
}
