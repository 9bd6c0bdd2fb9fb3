namespace Cleave.PrivacyLab.Attacks;

/// <summary>Activations with the tokens they belong to: what an attacker learns from.</summary>
/// <param name="HiddenSize">Numbers per activation.</param>
/// <param name="Activations">[count, hiddenSize].</param>
/// <param name="Tokens">[count].</param>
public sealed record LabelledPairs(int HiddenSize, float[] Activations, int[] Tokens)
{
    /// <summary>Pairs.</summary>
    public int Count => Tokens.Length;

    /// <summary>The first <paramref name="count"/> pairs.</summary>
    public LabelledPairs Take(int count) => count >= Count
        ? this
        : new LabelledPairs(HiddenSize, Activations[..(count * HiddenSize)], Tokens[..count]);

    /// <summary>The pairs whose token passes.</summary>
    public LabelledPairs Where(Func<int, bool> keep)
    {
        int[] kept = [.. Enumerable.Range(0, Count).Where(i => keep(Tokens[i]))];
        var activations = new float[kept.Length * HiddenSize];
        for (int i = 0; i < kept.Length; i++)
        {
            Activations.AsSpan(kept[i] * HiddenSize, HiddenSize).CopyTo(activations.AsSpan(i * HiddenSize));
        }

        return new LabelledPairs(HiddenSize, activations, [.. kept.Select(i => Tokens[i])]);
    }

    /// <summary>The same activations with the labels in a random order: an attack on these must fall to chance.</summary>
    public LabelledPairs Shuffled(int seed)
    {
        int[] tokens = [.. Tokens];
        new Random(seed).Shuffle(tokens);
        return this with { Tokens = tokens };
    }

    /// <summary>Both together.</summary>
    public LabelledPairs Concat(LabelledPairs other) =>
        new(HiddenSize, [.. Activations, .. other.Activations], [.. Tokens, .. other.Tokens]);
}
