namespace Cleave.Inference.Decoding;

/// <summary>Who proposed a node.</summary>
public enum DraftSource : byte
{
    /// <summary>Nobody: the token is certain.</summary>
    Certain,

    /// <summary>A draft model.</summary>
    Model,

    /// <summary>Suffix automaton.</summary>
    Suffix,

    /// <summary>Prompt lookup.</summary>
    Ngram,

    /// <summary>An n-gram pool or window (lookahead, jacobi).</summary>
    Window,
}
