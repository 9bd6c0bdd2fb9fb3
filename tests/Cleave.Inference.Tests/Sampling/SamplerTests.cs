using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Sampling;

/// <summary>The sampler against the filtered softmax written out plainly, token by token and as a distribution.</summary>
public sealed class SamplerTests
{
    private const int Vocabulary = 40;

    public static TheoryData<SamplingOptions> Samplings =>
    [
        new SamplingOptions { Temperature = 1 },
        new SamplingOptions { Temperature = 0.7 },
        new SamplingOptions { Temperature = 1, TopK = 5 },
        new SamplingOptions { Temperature = 1.3, TopP = 0.8 },
        new SamplingOptions { Temperature = 0.8, MinP = 0.1 },
        new SamplingOptions { Temperature = 1.5, TopK = 12, TopP = 0.9, MinP = 0.05 },
        new SamplingOptions { Temperature = 1, RepetitionPenalty = 1.4, FrequencyPenalty = 0.3, PresencePenalty = 0.5 },
        new SamplingOptions { Temperature = 1, TopK = 8, RepetitionPenalty = 0.8, FrequencyPenalty = -0.2 },
    ];

    /// <summary>Pearson's chi-square over 20,000 positions; the bound is passed by chance less than once in 10^6 runs, and the seeds are fixed.</summary>
    [Theory]
    [MemberData(nameof(Samplings))]
    public void Choices_follow_the_filtered_softmax(SamplingOptions options)
    {
        const int Draws = 20_000;
        float[] logits = Logits(1);
        TokenHistory history = History();
        double[] expected = FilteredSoftmax(logits, history, options);
        var sampler = new Sampler(options with { Seed = 99 }, Vocabulary);
        int[] counts = new int[Vocabulary];
        for (int position = 0; position < Draws; position++)
        {
            counts[sampler.Choose(logits, history, position)]++;
        }

        double statistic = 0;
        int cells = 0;
        double restExpected = 0;
        int restCount = 0;
        for (int token = 0; token < Vocabulary; token++)
        {
            if (expected[token] == 0)
            {
                Assert.Equal(0, counts[token]);
            }
            else if (expected[token] * Draws < 5)
            {
                restExpected += expected[token] * Draws;
                restCount += counts[token];
            }
            else
            {
                statistic += Math.Pow(counts[token] - (expected[token] * Draws), 2) / (expected[token] * Draws);
                cells++;
            }
        }

        if (restExpected > 0)
        {
            statistic += Math.Pow(restCount - restExpected, 2) / Math.Max(1, restExpected);
            cells++;
        }

        // Wilson and Hilferty's approximation of the chi-square quantile at 5 standard deviations.
        double freedom = Math.Max(1, cells - 1);
        double bound = freedom * Math.Pow(1 - (2 / (9 * freedom)) + (5 * Math.Sqrt(2 / (9 * freedom))), 3);
        Assert.True(cells > 1, "a distribution of one token tests nothing");
        Assert.True(statistic < bound, $"chi-square {statistic:F1} over {cells} cells; at most {bound:F1}");
    }

    /// <summary>The choice is the argmax of logit and noise over what the filters leave: the same function, however it is computed.</summary>
    [Theory]
    [MemberData(nameof(Samplings))]
    public void A_choice_is_the_largest_of_logit_and_noise(SamplingOptions options)
    {
        TokenHistory history = History();
        for (int position = 0; position < 300; position++)
        {
            float[] logits = Logits(position);
            double[] adjusted = Adjusted(logits, history, options);
            double[] kept = FilteredSoftmax(logits, history, options);
            int best = Enumerable.Range(0, Vocabulary).Where(token => kept[token] > 0)
                .MaxBy(token => (adjusted[token] / options.Temperature) + GumbelNoise.At(5, 2, position, token));
            Assert.Equal(best, new Sampler(options with { Seed = 5, Choice = 2 }, Vocabulary).Choose(logits, history, position));
        }
    }

    [Fact]
    public void Greedy_ties_take_the_lowest_id()
    {
        float[] logits = [1, 3, 3, 2, 3];
        Assert.Equal(1, new Sampler(new SamplingOptions(), 5).Choose(logits, new TokenHistory(), 0));
        Assert.Equal(0, new Sampler(new SamplingOptions { Temperature = 1, TopK = 1 }, 3).Choose([2, 2, 2], new TokenHistory(), 0));
    }

    [Fact]
    public void Ids_outside_the_tokenizer_are_never_chosen()
    {
        float[] logits = [0, 1, 2, 50, 60];
        foreach (SamplingOptions options in new[] { new SamplingOptions(), new() { Temperature = 2 }, new() { Temperature = 2, TopK = 2, Seed = 4 } })
        {
            var sampler = new Sampler(options, vocabularySize: 3);
            for (int position = 0; position < 200; position++)
            {
                Assert.InRange(sampler.Choose(logits, new TokenHistory(), position), 0, 2);
            }
        }
    }

    [Fact]
    public void Penalties_count_the_rows_own_path()
    {
        float[] logits = [2f, 1.9f, -1f];
        var history = new TokenHistory();
        history.AddPrompt([0]);
        Assert.Equal(1, new Sampler(new SamplingOptions { RepetitionPenalty = 1.2 }, 3).Choose(logits, history, 0));
        Assert.Equal(0, new Sampler(new SamplingOptions { FrequencyPenalty = 5, PresencePenalty = 5 }, 3).Choose(logits, history, 0)); // output only
        history.AddOutput(0);
        Assert.Equal(1, new Sampler(new SamplingOptions { PresencePenalty = 0.2 }, 3).Choose(logits, history, 0));
        history.AddOutput(1);
        history.AddOutput(1);
        Assert.Equal(0, new Sampler(new SamplingOptions { FrequencyPenalty = 0.2 }, 3).Choose(logits, history, 0));
    }

    [Fact]
    public void A_mask_comes_before_filters_and_noise()
    {
        float[] logits = [9, 8, 1, 0];
        var mask = new EvenTokens();
        var history = new TokenHistory();
        Assert.Equal(0, new Sampler(new SamplingOptions(), 4).Choose(logits, history, 0, mask));
        var sampler = new Sampler(new SamplingOptions { Temperature = 5, TopK = 2, Seed = 1 }, 4);
        var seen = new HashSet<int>();
        for (int position = 0; position < 200; position++)
        {
            seen.Add(sampler.Choose(logits, history, position, mask));
        }

        Assert.Equal([0, 2], seen.Order());
    }

    [Theory]
    [InlineData(double.NaN, "temperature")]
    [InlineData(-0.1, "temperature")]
    public void Impossible_options_are_named(double temperature, string word)
    {
        Assert.Contains(word, new SamplingOptions { Temperature = temperature }.Validate());
        Assert.Contains("top-p", new SamplingOptions { TopP = 0 }.Validate());
        Assert.Contains("top-k", new SamplingOptions { TopK = -1 }.Validate());
        Assert.Contains("min-p", new SamplingOptions { MinP = 1.5 }.Validate());
        Assert.Contains("repetition", new SamplingOptions { RepetitionPenalty = 0 }.Validate());
        Assert.Null(new SamplingOptions().Validate());
    }

    private static float[] Logits(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Vocabulary).Select(_ => (float)((random.NextDouble() * 6) - 2))];
    }

    private static TokenHistory History()
    {
        var history = new TokenHistory();
        history.AddPrompt([1, 2, 3, 4]);
        foreach (int token in new[] { 3, 7, 7, 9, 20, 21, 21, 21 })
        {
            history.AddOutput(token);
        }

        return history;
    }

    /// <summary>Logits after penalties, as the options' definitions read.</summary>
    private static double[] Adjusted(float[] logits, TokenHistory history, SamplingOptions options)
    {
        double[] adjusted = new double[Vocabulary];
        for (int token = 0; token < Vocabulary; token++)
        {
            float logit = logits[token];
            if (history.Seen.Contains(token) && options.RepetitionPenalty != 1)
            {
                logit = (float)(logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty);
            }

            if (history.OutputCounts.TryGetValue(token, out int count))
            {
                logit -= (float)((count * options.FrequencyPenalty) + options.PresencePenalty);
            }

            adjusted[token] = logit;
        }

        return adjusted;
    }

    /// <summary>Probabilities after penalties, temperature, top-k, top-p over what top-k leaves, and min-p; 0 where a filter drops the token.</summary>
    private static double[] FilteredSoftmax(float[] logits, TokenHistory history, SamplingOptions options)
    {
        double[] adjusted = Adjusted(logits, history, options);
        double[] weight = [.. adjusted.Select(logit => Math.Exp((logit - adjusted.Max()) / options.Temperature))];
        int[] order = [.. Enumerable.Range(0, Vocabulary).OrderByDescending(token => adjusted[token]).ThenBy(token => token)];
        order = options.TopK > 0 ? order[..options.TopK] : order;
        double total = order.Sum(token => weight[token]);
        double[] kept = new double[Vocabulary];
        double mass = 0;
        foreach (int token in order)
        {
            if (mass >= options.TopP * total && options.TopP < 1)
            {
                break;
            }

            mass += weight[token];
            kept[token] = weight[token] >= options.MinP * weight[order[0]] ? weight[token] : 0;
        }

        double sum = kept.Sum();
        return [.. kept.Select(value => value / sum)];
    }

    private sealed class EvenTokens : ITokenMask
    {
        public void Apply(Span<float> logits)
        {
            for (int token = 1; token < logits.Length; token += 2)
            {
                logits[token] = float.NegativeInfinity;
            }
        }

        public bool Allows(int token) => token % 2 == 0;

        public ITokenMask Next(int token) => this;
    }
}
