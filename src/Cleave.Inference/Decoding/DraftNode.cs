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

    /// <summary>Which drafter proposed it first.</summary>
    public DraftSource Source;

    /// <summary>Rank among that drafter's guesses for the parent.</summary>
    public ushort Rank;

    /// <summary>What a draft model says of it: probability given the parent, 0 when it does not propose it.</summary>
    public float ModelClaim;

    /// <summary>The most any lookup (suffix, n-gram, pool) says of it, 0 when none proposes it.</summary>
    public float LookupClaim;

    /// <summary>True once a draft model was asked for this node's children.</summary>
    public bool ModelAsked;

    /// <summary>Sum of what lookups say of this node's children.</summary>
    public float LookupMass;

    /// <summary>True once the drafter was asked for its children.</summary>
    public bool Expanded;

    /// <summary>True when the node is never accepted, only computed (a lookahead window).</summary>
    public bool WindowOnly;

    /// <summary>True when the node is sent whatever the node rule says.</summary>
    public bool Pinned;

    /// <summary>True when the drafter wants to see what the model says after it.</summary>
    public bool Observed;

    internal int FirstChild;
    internal int NextSibling;
}
