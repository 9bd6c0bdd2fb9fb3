namespace Cleave.Gateway.Grammar;

/// <summary>
/// Runs a grammar byte by byte as an automaton that is built while it is used: states met before cost one array look-up a byte, and
/// a state's allowed tokens are computed once. Used by any number of requests at a time. All work is bounded: a grammar too
/// ambiguous to follow is refused.
/// </summary>
internal sealed class GrammarMachine
{
    /// <summary>Deepest nesting of objects and arrays.</summary>
    public const int MaxDepth = 64;

    private const int MaxPositions = 4096;
    private const int MaxStates = 20_000;
    private const long MaxWork = 4_000_000;
    private const int MaxMaskBytes = 16 << 20;

    private readonly Lock _lock = new();
    private readonly TokenTrie _trie;
    private readonly byte[] _classOf = new byte[256];
    private readonly byte[] _sample;
    private readonly Dictionary<(GrammarStack? Outer, int Return), GrammarStack> _stacks = [];
    private readonly Dictionary<PositionSet, GrammarState> _states = [];
    private int _nextStackId = 1;
    private int _maskBytes;
    private long _work;

    /// <param name="builder">Holds the nodes.</param>
    /// <param name="start">The rule of the whole text.</param>
    /// <param name="trie">Tokens.</param>
    public GrammarMachine(GrammarBuilder builder, GrammarNode start, TokenTrie trie)
    {
        _trie = trie;
        _sample = FindClasses(builder.Nodes);
        Dead = new GrammarState([], 0);
        Start = Close([new GrammarPosition(start, null)]);
    }

    /// <summary>Before the first byte.</summary>
    public GrammarState Start { get; }

    /// <summary>No text leads on from here.</summary>
    public GrammarState Dead { get; }

    /// <summary>Tokens in the vocabulary.</summary>
    public int VocabularySize => _trie.VocabularySize;

    /// <summary>Ids that end a turn.</summary>
    public int[] EndIds => _trie.EndIds;

    /// <summary>True for a token that stands for text.</summary>
    public bool IsText(int token) => _trie.IsText(token);

    /// <summary>The state after some bytes, <see cref="Dead"/> when they are impossible.</summary>
    /// <exception cref="GrammarException">The grammar is too ambiguous.</exception>
    public GrammarState Run(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            _work = 0;
            foreach (byte value in bytes)
            {
                state = Step(state, value);
            }

            return state;
        }
    }

    /// <summary>A bit per token that may come next; end-of-turn tokens where the text may end.</summary>
    /// <exception cref="GrammarException">The grammar is too ambiguous.</exception>
    public ulong[] Allowed(GrammarState state)
    {
        if (state.Allowed is { } known)
        {
            return known;
        }

        lock (_lock)
        {
            if (state.Allowed is { } meanwhile)
            {
                return meanwhile;
            }

            _work = 0;
            var allowed = new ulong[(VocabularySize + 63) / 64];
            if ((_maskBytes += 8 * allowed.Length) > MaxMaskBytes)
            {
                Forget();
            }

            _trie.Collect(state, (from, value) => Step(from, value) is var to && ReferenceEquals(to, Dead) ? null : to, allowed);
            bool any = allowed.AsSpan().ContainsAnyExcept(0UL);
            if (state.Accepts || !any)
            {
                // A vocabulary that cannot spell what the grammar asks for would leave nothing: then the text ends early.
                foreach (int id in EndIds)
                {
                    allowed[id >> 6] |= 1UL << (id & 63);
                }
            }

            state.OnlyToken = Only(allowed);
            return state.Allowed = allowed;
        }
    }

    private static int Only(ulong[] allowed)
    {
        int only = -1;
        for (int i = 0; i < allowed.Length; i++)
        {
            if (allowed[i] == 0)
            {
                continue;
            }

            if (only >= 0 || !ulong.IsPow2(allowed[i]))
            {
                return -1;
            }

            only = (i << 6) + System.Numerics.BitOperations.TrailingZeroCount(allowed[i]);
        }

        return only;
    }

    private GrammarState Step(GrammarState state, byte value)
    {
        if (ReferenceEquals(state, Dead))
        {
            return Dead;
        }

        byte kind = _classOf[value];
        if (state.Next[kind] is { } known)
        {
            return known;
        }

        value = _sample[kind];
        var reached = new List<GrammarPosition>();
        foreach (GrammarPosition position in state.Positions)
        {
            foreach ((byte low, byte high, GrammarNode next) in position.Node?.Bytes ?? [])
            {
                if (value >= low && value <= high)
                {
                    reached.Add(new GrammarPosition(next, position.Stack));
                }
            }

            Spend(1 + (position.Node?.Bytes.Count ?? 0));
        }

        return state.Next[kind] = reached.Count == 0 ? Dead : Close(reached);
    }

    /// <summary>Follows calls, returns and epsilon edges to all positions that can consume a byte.</summary>
    private GrammarState Close(List<GrammarPosition> from)
    {
        var seen = new HashSet<GrammarPosition>();
        var open = new Stack<GrammarPosition>(from);
        var positions = new List<GrammarPosition>();
        bool accepts = false;
        while (open.TryPop(out GrammarPosition position))
        {
            Spend(1);
            if (!seen.Add(position))
            {
                continue;
            }

            if (seen.Count > MaxPositions)
            {
                throw TooAmbiguous();
            }

            GrammarNode node = position.Node!;
            if (node.Bytes.Count > 0)
            {
                positions.Add(position);
            }

            foreach (GrammarNode next in node.Epsilon)
            {
                open.Push(position with { Node = next });
            }

            if (node.Call is { } called && (position.Stack?.Depth ?? 0) < DepthLimit)
            {
                open.Push(new GrammarPosition(called, Push(position.Stack, node.Return!)));
            }

            if (node.EndsRule)
            {
                if (position.Stack is { } stack)
                {
                    open.Push(new GrammarPosition(stack.Return, stack.Outer));
                }
                else
                {
                    accepts = true;
                }
            }
        }

        if (positions.Count == 0 && !accepts)
        {
            return Dead;
        }

        positions.Sort(static (a, b) =>
            a.Node!.Id != b.Node!.Id ? a.Node.Id.CompareTo(b.Node.Id) : (a.Stack?.Id ?? 0).CompareTo(b.Stack?.Id ?? 0));
        var key = new PositionSet([.. positions], accepts);
        if (_states.TryGetValue(key, out GrammarState? known))
        {
            return known;
        }

        if (_states.Count >= MaxStates)
        {
            Forget();
        }

        var state = new GrammarState(key.Positions, _sample.Length) { Accepts = accepts };
        _states.Add(key, state);
        return state;
    }

    // A level of nesting costs two calls: the value, and the object or array it is.
    private static int DepthLimit => 2 * MaxDepth;

    private GrammarStack Push(GrammarStack? outer, GrammarNode returnNode)
    {
        if (!_stacks.TryGetValue((outer, returnNode.Id), out GrammarStack? stack))
        {
            stack = new GrammarStack(_nextStackId++, returnNode, outer);
            _stacks.Add((outer, returnNode.Id), stack);
        }

        return stack;
    }

    /// <summary>Starts over. States in use live on, without what they knew.</summary>
    private void Forget()
    {
        foreach (GrammarState state in _states.Values)
        {
            Array.Clear(state.Next);
            state.Allowed = null;
        }

        _states.Clear();
        _stacks.Clear();
        _maskBytes = 0;
    }

    private void Spend(int steps)
    {
        if ((_work += steps) > MaxWork)
        {
            throw TooAmbiguous();
        }
    }

    private static GrammarException TooAmbiguous() =>
        new("the schema allows too many readings of the same text; give the alternatives of its anyOf distinct beginnings");

    /// <summary>Splits the 256 bytes into classes no range distinguishes; returns one byte of each.</summary>
    private byte[] FindClasses(IReadOnlyList<GrammarNode> nodes)
    {
        var starts = new bool[257];
        starts[0] = true;
        foreach (GrammarNode node in nodes)
        {
            foreach ((byte low, byte high, _) in node.Bytes)
            {
                starts[low] = true;
                starts[high + 1] = true;
            }
        }

        var sample = new List<byte>();
        for (int value = 0; value < 256; value++)
        {
            if (starts[value])
            {
                sample.Add((byte)value);
            }

            _classOf[value] = (byte)(sample.Count - 1);
        }

        return [.. sample];
    }

    /// <summary>Key of a state.</summary>
    private readonly record struct PositionSet(GrammarPosition[] Positions, bool Accepts)
    {
        public bool Equals(PositionSet other) => Accepts == other.Accepts && Positions.AsSpan().SequenceEqual(other.Positions);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            foreach (GrammarPosition position in Positions)
            {
                hash.Add(position.Node!.Id);
                hash.Add(position.Stack?.Id ?? 0);
            }

            return hash.ToHashCode();
        }
    }
}
