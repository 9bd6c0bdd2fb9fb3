using Cleave.Engine;
using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.PrivacyLab.Capture;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Makes pairs by running known tokens through a head, as an attacker does who uses the service himself, or who has the weights. What he
/// collects has passed the wire and the defence in force, like what he attacks.
/// </summary>
/// <param name="model">Whose head.</param>
/// <param name="wire">The wire activations cross.</param>
/// <param name="noise">Noise of each session he collects from, or null.</param>
public sealed class PairCollector(TrustedModel model, WireType wire, Func<EmbeddingNoise?>? noise = null)
{
    private const int ChunkRows = 128;

    /// <summary>
    /// At most <paramref name="budget"/> pairs from token sequences, each run in windows of <paramref name="windowTokens"/> after BOS (which
    /// is no pair: everyone knows it).
    /// </summary>
    public LabelledPairs Collect(IEnumerable<int[]> sequences, int budget, int windowTokens)
    {
        int width = model.Config.HiddenSize;
        int? bos = model.Tokenizer.BosId;
        var activations = new float[checked(budget * width)];
        var tokens = new int[budget];
        int count = 0;
        foreach (int[] sequence in sequences)
        {
            int[] body = bos is not null && sequence.Length > 0 && sequence[0] == bos ? sequence[1..] : sequence;
            for (int start = 0; start < body.Length && count < budget; start += windowTokens - 1)
            {
                int[] window = [.. body.Skip(start).Take(Math.Min(windowTokens - 1, budget - count))];
                int[] sent = bos is { } first ? [first, .. window] : window;
                float[] hidden = Run(sent);
                int skip = sent.Length - window.Length;
                hidden.AsSpan(skip * width).CopyTo(activations.AsSpan(count * width));
                window.CopyTo(tokens.AsSpan(count));
                count += window.Length;
            }

            if (count == budget)
            {
                break;
            }
        }

        return count == budget
            ? new LabelledPairs(width, activations, tokens)
            : new LabelledPairs(width, activations[..(count * width)], tokens[..count]);
    }

    /// <summary>One sequence through the head and over the wire: [tokens, hiddenSize].</summary>
    public float[] Run(ReadOnlySpan<int> tokens)
    {
        int width = model.Config.HiddenSize;
        using KvCache cache = model.Head.CreateCache(tokens.Length);
        EmbeddingNoise? sessionNoise = noise?.Invoke();
        var hidden = new float[tokens.Length * width];
        var rows = new TreeRow[Math.Min(ChunkRows, tokens.Length)];
        var ids = new ulong[rows.Length];
        for (int start = 0; start < tokens.Length; start += ChunkRows)
        {
            int count = Math.Min(ChunkRows, tokens.Length - start);
            for (int i = 0; i < count; i++)
            {
                ids[i] = (ulong)(start + i + 1);
                rows[i] = new TreeRow(ids[i], ids[i] - 1);
            }

            model.Head.Run(cache, rows.AsSpan(0, count), tokens.Slice(start, count), hidden.AsSpan(start * width, count * width), sessionNoise);
            cache.Keep(ids.AsSpan(0, count));
        }

        var decoded = new float[hidden.Length];
        WireRounding.Apply(wire, hidden, width, decoded);
        return decoded;
    }

    /// <summary>Sequences that hold every token of the vocabulary once per pass, in a random order: labels for all of it, none of it text.</summary>
    public static IEnumerable<int[]> ShuffledVocabulary(int vocabularySize, int passes, int windowTokens, int seed)
    {
        var random = new Random(seed);
        int[] order = [.. Enumerable.Range(0, vocabularySize)];
        for (int pass = 0; pass < passes; pass++)
        {
            random.Shuffle(order);
            foreach (int[] window in order.Chunk(windowTokens - 1))
            {
                yield return window;
            }
        }
    }
}
