using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests;

/// <summary>Every decoder gives the sequential tokens and logits, greedy and sampled, over chat turns that reuse their prefix.</summary>
public sealed class DecoderIdentityTests
{
    public static TheoryData<string> Speculative => [.. DecoderCatalog.Names.Where(name => name != "sequential")];

    [Theory]
    [MemberData(nameof(Speculative))]
    public async Task Tokens_and_logits_equal_sequential(string decoder)
    {
        using TrustedModel model = DemoModel.Load(Cut.Default);
        using DraftModel draft = DraftModel.Load(DemoModel.DraftPath, model.Tokenizer);
        long drafted = 0;
        SamplingOptions[] samplings =
        [
            new(),
            new() { Temperature = 0.7, TopP = 0.9, Seed = 11 },
            new() { Temperature = 1.2, RepetitionPenalty = 1.1, FrequencyPenalty = 0.3, PresencePenalty = 0.2, MinP = 0.02, Seed = 12 },
        ];
        foreach (DemoModel.GreedyCase reference in DemoModel.GreedyCases.Take(6))
        {
            foreach (SamplingOptions sampling in samplings)
            {
                LogitRecorder expected = (await RunAsync(model, draft, "sequential", reference.PromptIds, sampling)).Recorder;
                (LogitRecorder actual, long proposed) = await RunAsync(model, draft, decoder, reference.PromptIds, sampling);
                drafted += proposed;
                Assert.Equal(expected.Tokens, actual.Tokens);
                Assert.True(expected.Logits.SequenceEqual(actual.Logits), "the tokens agree, the logits do not");
            }
        }

        Assert.True(drafted > 30, $"only {drafted} rows were drafted: nothing was put to the test");
    }

    [Fact]
    public async Task A_next_turn_reuses_its_prefix_and_an_edit_forgets_the_rest()
    {
        using TrustedModel model = DemoModel.Load(Cut.Default);
        await using TextGenerator generator = new(DemoModel.LocalSession(model), DecoderCatalog.Create("suffix", new DrafterContext()));
        int[] first = DemoModel.GreedyCases[0].PromptIds;
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 12 } };
        int[] answer = await TokensAsync(generator, first, options);
        int[] second = [.. first, .. answer, .. DemoModel.GreedyCases[2].PromptIds.Skip(1)];
        int[] continued = await TokensAsync(generator, second, options);
        Assert.Equal(first.Length + answer.Length - 1, generator.Statistics!.ReusedTokens);
        Assert.Equal(await FreshAsync(model, second, options), continued);

        int[] edited = [.. first[..8], .. DemoModel.GreedyCases[3].PromptIds.Skip(1)];
        int[] afterEdit = await TokensAsync(generator, edited, options);
        Assert.InRange(generator.Statistics!.ReusedTokens, 8, edited.Length - 1);
        Assert.Equal(await FreshAsync(model, edited, options), afterEdit);
    }

    private static async Task<int[]> FreshAsync(TrustedModel model, int[] prompt, GenerationOptions options)
    {
        await using TextGenerator generator = new(DemoModel.LocalSession(model), new SequentialDrafter());
        return await TokensAsync(generator, prompt, options);
    }

    private static async Task<int[]> TokensAsync(TextGenerator generator, int[] prompt, GenerationOptions options)
    {
        var tokens = new List<int>();
        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return [.. tokens];
    }

    private static async Task<(LogitRecorder Recorder, long Proposed)> RunAsync(
        TrustedModel model, DraftModel draft, string decoder, int[] prompt, SamplingOptions sampling)
    {
        await using TextGenerator generator = new(
            DemoModel.LocalSession(model), DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft }));
        var recorder = new LogitRecorder();

        // Without a network no draft pays; a fixed threshold sends them all the same.
        var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = 24, Threshold = 0.02 }, Observer = recorder };
        Assert.Equal(await TokensAsync(generator, prompt, options), recorder.Tokens);
        return (recorder, generator.Statistics!.Proposed);
    }
}
