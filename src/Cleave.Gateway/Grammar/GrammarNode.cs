namespace Cleave.Gateway.Grammar;

/// <summary>A node of a byte-level recursive transition network. It has at most one kind of way out besides epsilon edges.</summary>
internal sealed class GrammarNode
{
    /// <summary>Its number.</summary>
    public required int Id { get; init; }

    /// <summary>Byte ranges, each with the node after it.</summary>
    public List<(byte Low, byte High, GrammarNode Next)> Bytes { get; } = [];

    /// <summary>Nodes reached without a byte.</summary>
    public List<GrammarNode> Epsilon { get; } = [];

    /// <summary>Start of a rule to run from here, or null.</summary>
    public GrammarNode? Call { get; set; }

    /// <summary>Where to go on when <see cref="Call"/> has ended.</summary>
    public GrammarNode? Return { get; set; }

    /// <summary>True at the end of a rule.</summary>
    public bool EndsRule { get; set; }
}
