namespace Cleave.Inference.Decoding;

/// <summary>What drafters are made from.</summary>
public sealed record DrafterContext
{
    /// <summary>A small model that drafts, or null when there is none. Shared by drafters; stays its owner's.</summary>
    public DraftModel? DraftModel { get; init; }

    /// <summary>Shortest key of prompt lookup; 1 reproduces the paper's setting.</summary>
    public int NgramMinKey { get; init; } = 2;

    /// <summary>Longest key of prompt lookup.</summary>
    public int NgramMaxKey { get; init; } = 4;

    /// <summary>Most tokens prompt lookup proposes.</summary>
    public int NgramChain { get; init; } = 10;

    /// <summary>Lookahead's W, columns of its window.</summary>
    public int LookaheadWindow { get; init; } = 4;

    /// <summary>Lookahead's N, tokens of an n-gram.</summary>
    public int LookaheadNgram { get; init; } = 4;

    /// <summary>Lookahead's G, n-grams verified in a step.</summary>
    public int LookaheadGuesses { get; init; } = 8;
}
