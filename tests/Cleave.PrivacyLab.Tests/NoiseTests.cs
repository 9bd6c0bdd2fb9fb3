using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;

namespace Cleave.PrivacyLab.Tests;

/// <summary>Embedding noise: its law, its accounting, and that nothing is released twice.</summary>
public sealed class NoiseTests
{
    private static readonly EmbeddingNoiseOptions Options = new() { ClipNorm = 2, Epsilon = 50 };

    // delta = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu), by hand for mu = 1, eps = 1.
    [Fact]
    public void TheTradeOffIsTheAnalyticOne()
    {
        Assert.Equal(0.308538 - (Math.E * 0.0668072), GaussianMechanism.Delta(1, 1), 5);
        double sigma = GaussianMechanism.Sigma(4, 50, 1e-6);
        Assert.Equal(1e-6, GaussianMechanism.Delta(4 / sigma, 50), 1e-8);
        Assert.Equal(50, GaussianMechanism.Epsilon(4 / sigma, 1e-6), 1e-3);

        // The textbook bound sqrt(2 ln(1.25/delta)) / eps holds for eps below 1 only, and is larger there.
        Assert.True(GaussianMechanism.Sigma(1, 0.9, 1e-5) < Math.Sqrt(2 * Math.Log(1.25 / 1e-5)) / 0.9);
    }

    [Fact]
    public void ARowSentAgainCarriesTheSameNoiseAndCostsNothing()
    {
        EmbeddingNoise noise = Make(session: 1);
        float[] first = Noised(noise, [7, 8], 0);
        double spent = noise.EpsilonComposed;
        float[] again = Noised(noise, [7, 8], 0);

        Assert.Equal(first, again);
        Assert.Equal(2, noise.RowsReleased);
        Assert.Equal(spent, noise.EpsilonComposed);
        Assert.True(spent > noise.EpsilonPerToken);
    }

    [Fact]
    public void AnotherPositionTokenOrSessionHasNoiseOfItsOwn()
    {
        float[] here = Noised(Make(session: 1), [7], 0);
        Assert.NotEqual(here, Noised(Make(session: 2), [7], 0));
        Assert.NotEqual(here, Noised(Make(session: 1), [8], 0)); // embeddings are all zero here: only the noise differs
        float[] both = Noised(Make(session: 1), [7, 7], 0);
        Assert.Equal(here, both[..here.Length]);
        Assert.NotEqual(here, both[here.Length..]);
    }

    [Fact]
    public void TheNoiseHasTheDeviationItIsChargedFor()
    {
        float[] values = Noised(Make(session: 3), [.. Enumerable.Range(0, 200)], 0);
        double deviation = Math.Sqrt(values.Average(static v => (double)v * v));
        Assert.InRange(deviation / Options.Sigma, 0.98, 1.02);
        Assert.InRange(values.Average() / Options.Sigma, -0.02, 0.02);
    }

    [Fact]
    public void LongEmbeddingsAreClippedBeforeTheyAreCharged()
    {
        float[] far = Noised(Make(session: 1), [7], 1000);
        float[] clipped = Noised(Make(session: 1), [7], 0);
        double squares = far.Zip(clipped, static (a, b) => (double)(a - b) * (a - b)).Sum();
        Assert.Equal(Options.ClipNorm, Math.Sqrt(squares), 1e-2);
    }

    [Fact]
    public void AKeyHas256Bits()
    {
        Assert.Throws<ArgumentOutOfRangeException>(static () => new EmbeddingNoise(Options, new byte[16], new byte[16]));
    }

    [Fact]
    public async Task GuessesAreChargedAsWhatTheyAreTokensSent()
    {
        using TrustedModel model = LabScene.Load(Cut.Default);
        int[] prompt = [0, .. Enumerable.Repeat((int[])[100, 200, 300], 8).SelectMany(static t => t)];
        int plain = await ReleasedAsync(model, prompt, new SequentialDrafter());
        int speculated = await ReleasedAsync(model, prompt, new NgramDrafter(1, 3, 8));

        // Whatever was said, a drafter that copies the prompt releases its tokens again at other positions.
        Assert.Equal(prompt.Length + 11, plain);
        Assert.True(speculated > plain, $"{speculated} {plain}");
    }

    private static async Task<int> ReleasedAsync(TrustedModel model, int[] prompt, IDrafter drafter)
    {
        // What is counted depends on the tokens sent alone.
        var noise = new EmbeddingNoise(new EmbeddingNoiseOptions { ClipNorm = 100, Epsilon = 1e15 });
        await using var generator = new TextGenerator(new SplitSession(model, model.CreateLocalMiddle(256, 1024), 256, noise), drafter);
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 12, Threshold = 0.01, StopAtEndOfTurn = false } };
        await foreach (DecodedToken _ in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
        }

        return noise.RowsReleased;
    }

    private static EmbeddingNoise Make(byte session)
    {
        var name = new byte[16];
        name[0] = session;
        return new EmbeddingNoise(Options, new byte[32], name);
    }

    private static float[] Noised(EmbeddingNoise noise, int[] tokens, float value)
    {
        const int Width = 384;
        using TrustedModel model = LabScene.Load(Cut.Default);
        var plan = new AttentionPlan();
        using KvCache cache = model.Head.CreateCache(tokens.Length);
        var rows = new TreeRow[tokens.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = new TreeRow((ulong)i + 1, (ulong)i);
        }

        cache.Append(rows, new bool[rows.Length]);
        cache.AddToPlan(plan, rows.Length);
        var embeddings = new float[tokens.Length * Width];
        Array.Fill(embeddings, value);
        noise.Apply(plan, tokens, embeddings);
        return embeddings;
    }
}
