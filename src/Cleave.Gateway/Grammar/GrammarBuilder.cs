using System.Text;

namespace Cleave.Gateway.Grammar;

/// <summary>
/// Builds a network piece by piece: every method adds a piece after <c>from</c> and returns its end. Rules are networks of their
/// own that may call each other, so nesting is unbounded while the network stays small.
/// </summary>
internal sealed class GrammarBuilder
{
    /// <summary>Most nodes of a grammar: a hostile schema is refused, not expanded.</summary>
    public const int MaxNodes = 200_000;

    private readonly List<GrammarNode> _nodes = [];

    /// <summary>All nodes.</summary>
    public IReadOnlyList<GrammarNode> Nodes => _nodes;

    /// <summary>A new node.</summary>
    /// <exception cref="GrammarException">There are too many.</exception>
    public GrammarNode Node()
    {
        if (_nodes.Count >= MaxNodes)
        {
            throw new GrammarException($"the schema expands to more than {MaxNodes} grammar nodes; make its enums, patterns or length limits smaller");
        }

        var node = new GrammarNode { Id = _nodes.Count };
        _nodes.Add(node);
        return node;
    }

    /// <summary>A rule: its start. <paramref name="body"/> adds to the start and returns the end.</summary>
    public GrammarNode Rule(Func<GrammarNode, GrammarNode> body)
    {
        GrammarNode start = Node();
        body(start).EndsRule = true;
        return start;
    }

    /// <summary>One byte of a range.</summary>
    public GrammarNode Range(GrammarNode from, byte low, byte high)
    {
        GrammarNode next = Node();
        from.Bytes.Add((low, high, next));
        return next;
    }

    /// <summary>One of some bytes.</summary>
    public GrammarNode AnyOf(GrammarNode from, ReadOnlySpan<byte> bytes)
    {
        GrammarNode next = Node();
        foreach (byte value in bytes)
        {
            from.Bytes.Add((value, value, next));
        }

        return next;
    }

    /// <summary>A fixed text.</summary>
    public GrammarNode Text(GrammarNode from, string text)
    {
        foreach (byte value in Encoding.UTF8.GetBytes(text))
        {
            from = Range(from, value, value);
        }

        return from;
    }

    /// <summary>One of several texts; common beginnings share nodes, so that a long enum stays one path at a time.</summary>
    public GrammarNode OneOfTexts(GrammarNode from, IEnumerable<string> texts)
    {
        GrammarNode root = Node();
        from.Epsilon.Add(root);
        GrammarNode end = Node();
        var children = new Dictionary<(int Node, byte Value), GrammarNode>();
        foreach (string text in texts)
        {
            GrammarNode at = root;
            foreach (byte value in Encoding.UTF8.GetBytes(text))
            {
                if (!children.TryGetValue((at.Id, value), out GrammarNode? child))
                {
                    child = Range(at, value, value);
                    children.Add((at.Id, value), child);
                }

                at = child;
            }

            at.Epsilon.Add(end);
        }

        return end;
    }

    /// <summary>A rule's language.</summary>
    public GrammarNode Call(GrammarNode from, GrammarNode rule)
    {
        GrammarNode at = Node();
        from.Epsilon.Add(at);
        at.Call = rule;
        at.Return = Node();
        return at.Return;
    }

    /// <summary>One of several pieces.</summary>
    public GrammarNode OneOf(GrammarNode from, params ReadOnlySpan<Func<GrammarNode, GrammarNode>> pieces)
    {
        GrammarNode end = Node();
        foreach (Func<GrammarNode, GrammarNode> piece in pieces)
        {
            GrammarNode start = Node();
            from.Epsilon.Add(start);
            piece(start).Epsilon.Add(end);
        }

        return end;
    }

    /// <summary>A piece or nothing.</summary>
    public GrammarNode Optional(GrammarNode from, Func<GrammarNode, GrammarNode> piece) => OneOf(from, piece, static start => start);

    /// <summary>A piece from <paramref name="min"/> to <paramref name="max"/> times; null has no upper end.</summary>
    public GrammarNode Repeat(GrammarNode from, int min, int? max, Func<GrammarNode, GrammarNode> piece)
    {
        for (int i = 0; i < min; i++)
        {
            from = piece(from);
        }

        GrammarNode end = Node();
        if (max is { } limit)
        {
            for (int i = min; i < limit; i++)
            {
                from.Epsilon.Add(end);
                GrammarNode start = Node();
                from.Epsilon.Add(start);
                from = piece(start);
            }

            from.Epsilon.Add(end);
            return end;
        }

        GrammarNode loop = Node();
        from.Epsilon.Add(loop);
        loop.Epsilon.Add(end);
        GrammarNode body = Node();
        loop.Epsilon.Add(body);
        piece(body).Epsilon.Add(loop);
        return end;
    }

    /// <summary>
    /// Checks that no rule can reach itself before a byte is consumed: it would never end.
    /// </summary>
    /// <exception cref="GrammarException">One does.</exception>
    public void CheckProgress(IEnumerable<GrammarNode> rules)
    {
        var state = new Dictionary<GrammarNode, bool>(); // false: on the current path, true: done
        foreach (GrammarNode rule in rules)
        {
            Visit(rule, 0);
        }

        void Visit(GrammarNode rule, int depth)
        {
            if (state.TryGetValue(rule, out bool done))
            {
                if (!done)
                {
                    throw new GrammarException("the schema refers to itself without anything in between; no value could ever be complete");
                }

                return;
            }

            if (depth > 500)
            {
                throw new GrammarException("the schema's references are nested more than 500 deep");
            }

            state[rule] = false;
            foreach (GrammarNode called in CallsAtStart(rule))
            {
                Visit(called, depth + 1);
            }

            state[rule] = true;
        }
    }

    /// <summary>Rules callable from a rule's start before any byte. No rule is empty, so nothing after a call matters.</summary>
    private static IEnumerable<GrammarNode> CallsAtStart(GrammarNode start)
    {
        var seen = new HashSet<GrammarNode>();
        var open = new Stack<GrammarNode>([start]);
        while (open.TryPop(out GrammarNode? node))
        {
            if (!seen.Add(node))
            {
                continue;
            }

            if (node.Call is { } called)
            {
                yield return called;
            }

            foreach (GrammarNode next in node.Epsilon)
            {
                open.Push(next);
            }
        }
    }
}
