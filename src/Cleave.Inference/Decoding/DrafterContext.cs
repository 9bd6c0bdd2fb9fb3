namespace Cleave.Inference.Decoding;

/// <summary>What drafters are made from.</summary>
public sealed record DrafterContext
{
    /// <summary>Shortest key of prompt lookup; 1 reproduces the paper's setting.</summary>
    public int NgramMinKey { get; init; } = 2;

    /// <summary>Longest key of prompt lookup.</summary>
    public int NgramMaxKey { get; init; } = 4;

    /// <summary>Most tokens prompt lookup proposes.</summary>
    public int NgramChain { get; init; } = 10;
}
