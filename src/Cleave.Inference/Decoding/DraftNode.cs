namespace Cleave.Inference.Decoding;

/// <summary>A node of a <see cref="DraftTree"/>.</summary>
public struct DraftNode
{
    /// <summary>Token id.</summary>
    public int Token;

    /// <summary>Index of the parent, -1 for the root.</summary>
    public int Parent;

    /// <summary>Tokens after the root.</summary>
    public int Depth;

    /// <summary>Estimated probability given the parent.</summary>
    public double Probability;

    /// <summary>Estimated probability given the root: the product along the path.</summary>
    public double PathProbability;

    /// <summary>Stable name, increasing in order of creation.</summary>
    public ulong Serial;

    /// <summary>Row id once sent, 0 before.</summary>
    public ulong RowId;

    /// <summary>Which drafter proposed it.</summary>
    public byte Source;

    /// <summary>Rank among that drafter's guesses for the parent.</summary>
    public ushort Rank;

    /// <summary>True once the drafter was asked for its children.</summary>
    public bool Expanded;

    /// <summary>True when the node is never accepted, only computed (a lookahead window).</summary>
    public bool WindowOnly;

    internal int FirstChild;
    internal int NextSibling;
}
