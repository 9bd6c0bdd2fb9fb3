namespace Cleave.Gateway.Grammar;

/// <summary>Where a text may be in its grammar: a set of positions, each with the rules it must still return to. Immutable but for caches.</summary>
internal sealed class GrammarState(GrammarPosition[] positions, int classes)
{
    /// <summary>Positions that can consume a byte, and the accepting one if any.</summary>
    public GrammarPosition[] Positions { get; } = positions;

    /// <summary>Known successors by byte class; <see cref="GrammarMachine.Dead"/> where there is none.</summary>
    public GrammarState?[] Next { get; } = new GrammarState?[classes];

    /// <summary>True when the text may end here.</summary>
    public bool Accepts { get; init; }

    /// <summary>A bit per allowed token, once asked for.</summary>
    public ulong[]? Allowed { get; set; }

    /// <summary>The only token allowed, -1 when there are several; valid once <see cref="Allowed"/> is.</summary>
    public int OnlyToken { get; set; } = -1;
}

/// <summary>A node, and the calls to return from after its rule.</summary>
internal readonly record struct GrammarPosition(GrammarNode? Node, GrammarStack? Stack);

/// <summary>Return nodes, innermost first. Equal stacks are one object.</summary>
internal sealed class GrammarStack(int id, GrammarNode returnNode, GrammarStack? outer)
{
    /// <summary>Its number.</summary>
    public int Id { get; } = id;

    /// <summary>Where to go on.</summary>
    public GrammarNode Return { get; } = returnNode;

    /// <summary>The calls around it.</summary>
    public GrammarStack? Outer { get; } = outer;

    /// <summary>Calls in all.</summary>
    public int Depth { get; } = (outer?.Depth ?? 0) + 1;
}
