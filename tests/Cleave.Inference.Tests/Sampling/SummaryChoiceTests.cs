using Cleave.Compute;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Sampling;

/// <summary>A row in short gives the whole row's token, or says that it cannot tell.</summary>
public sealed class SummaryChoiceTests
{
    private const int Vocabulary = 700;

    // A padded model: the last ids are outside the tokenizer.
    private const int Padded = 720;

    public static TheoryData<string, SamplingOptions, double> Cases => new()
    {
        { "greedy", new SamplingOptions(), 1 },
        { "greedy, penalties", new SamplingOptions { RepetitionPenalty = 1.3, FrequencyPenalty = 0.4, PresencePenalty = 0.2 }, 0.7 },
        { "greedy, rewards", new SamplingOptions { RepetitionPenalty = 0.8, FrequencyPenalty = -0.4 }, 0.95 },
        { "top-k", new SamplingOptions { Temperature = 0.9, TopK = 40, Seed = 3 }, 1 },
        { "top-k, top-p, min-p", new SamplingOptions { Temperature = 1.1, TopK = 50, TopP = 0.8, MinP = 0.01, Seed = 4 }, 1 },
        { "top-k, penalties", new SamplingOptions { Temperature = 0.9, TopK = 20, RepetitionPenalty = 1.2, PresencePenalty = 0.5, Seed = 5 }, 0.8 },
        { "top-p", new SamplingOptions { Temperature = 0.7, TopP = 0.9, Seed = 6 }, 0.5 },
        { "top-p, penalties", new SamplingOptions { Temperature = 0.7, TopP = 0.9, RepetitionPenalty = 1.15, FrequencyPenalty = 0.3, Seed = 7 }, 0.4 },
        { "min-p", new SamplingOptions { Temperature = 1, MinP = 0.05, Seed = 8 }, 0.6 },
        { "min-p, penalties", new SamplingOptions { Temperature = 1.3, MinP = 0.1, RepetitionPenalty = 1.2, Seed = 9 }, 0.6 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_choice_is_the_whole_rows(string name, SamplingOptions options, double decided)
    {
        var random = new Random(name.Length + options.TopK);
        var whole = new Sampler(options, Vocabulary);
        var brief = new Sampler(options, Vocabulary);
        int told = 0;
        const int Trials = 600;
        for (int trial = 0; trial < Trials; trial++)
        {
            TokenHistory history = RandomHistory(random);
            float[] logits = RandomLogits(random, trial);
            LogitReduction reduction = brief.Reduction(history, Padded)!;
            Assert.NotNull(reduction);
            Assert.Equal(Vocabulary, reduction.Count);

            // What a device answers is a float32 sum: anything within the stated error must do.
            TopRows tops = reduction.Ask([])!;
            tops.Prepare(1);
            tops.Fill(0, logits);
            tops.Sums[0] *= 1 + ((random.NextDouble() - 0.5) * LogitSummary.MassError);
            int expected = whole.Choose(logits, history, trial);
            if (brief.TryChoose(new LogitSummary(tops, 0), history, trial, out int token))
            {
                told++;
                Assert.Equal(expected, token);
            }
        }

        Assert.True(told >= decided * Trials, $"{name}: only {told} of {Trials} rows were decided in short");
    }

    [Fact]
    public void Noise_may_lift_any_token_when_nothing_filters()
    {
        var history = new TokenHistory();
        Assert.Null(new Sampler(new SamplingOptions { Temperature = 1 }, Vocabulary).Reduction(history, Padded));
        Assert.Null(new Sampler(new SamplingOptions { Temperature = 1, TopK = 5000 }, Vocabulary).Reduction(history, Padded));
    }

    [Fact]
    public void A_penalised_token_that_was_not_asked_for_is_not_guessed_at()
    {
        var sampler = new Sampler(new SamplingOptions { RepetitionPenalty = 1.2 }, Vocabulary);
        var history = new TokenHistory();
        LogitReduction reduction = sampler.Reduction(history, Padded)!;
        TopRows tops = reduction.Ask([])!;
        float[] logits = RandomLogits(new Random(1), 2);
        tops.Prepare(1);
        tops.Fill(0, logits);
        var summary = new LogitSummary(tops, 0);
        Assert.True(sampler.TryChoose(summary, history, 1, out _));
        int last = Enumerable.Range(0, Vocabulary).MinBy(token => logits[token]);
        history.AddOutput(last);
        Assert.False(sampler.TryChoose(summary, history, 1, out _));
        Assert.Contains(last, reduction.Ask([])!.Asked);
    }

    private static TokenHistory RandomHistory(Random random)
    {
        var history = new TokenHistory();
        history.AddPrompt([.. Enumerable.Range(0, random.Next(60)).Select(_ => random.Next(Padded))]);
        for (int i = random.Next(40); i > 0; i--)
        {
            history.AddOutput(random.Next(Vocabulary));
        }

        return history;
    }

    /// <summary>Peaked rows as models give them, flat ones, and ones full of ties, by turns.</summary>
    private static float[] RandomLogits(Random random, int trial)
    {
        double spread = (trial % 4) switch { 0 => 1, 1 => 3, 2 => 6, _ => 4 };
        var logits = new float[Padded];
        for (int i = 0; i < logits.Length; i++)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            logits[i] = (float)(trial % 4 == 3 ? Math.Round(normal * spread) : normal * spread);
        }

        return logits;
    }
}
