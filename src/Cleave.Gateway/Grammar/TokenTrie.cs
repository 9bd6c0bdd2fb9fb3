using Cleave.Tokenization;

namespace Cleave.Gateway.Grammar;

/// <summary>
/// A vocabulary as a trie over token bytes, flattened in depth-first order: walking it against a state machine visits each
/// common beginning once and skips a subtree as soon as it is impossible. Control tokens are not in it.
/// </summary>
internal sealed class TokenTrie
{
    private readonly byte[] _label;
    private readonly int[] _skip;
    private readonly ushort[] _depth;
    private readonly int[] _firstToken;
    private readonly int[] _tokens;
    private readonly bool[] _isText;

    /// <param name="tokenizer">Whose vocabulary.</param>
    public TokenTrie(Tokenizer tokenizer)
    {
        VocabularySize = tokenizer.VocabularySize;
        EndIds = [.. tokenizer.EndIds];
        var entries = new List<(ReadOnlyMemory<byte> Bytes, int Id)>(VocabularySize);
        for (int id = 0; id < VocabularySize; id++)
        {
            if (tokenizer.KindOf(id) is TokenKind.Normal or TokenKind.UserDefined or TokenKind.Byte && tokenizer.TokenBytes(id) is { IsEmpty: false } bytes)
            {
                entries.Add((bytes, id));
            }
        }

        entries.Sort(static (a, b) => a.Bytes.Span.SequenceCompareTo(b.Bytes.Span) is var order && order != 0 ? order : a.Id.CompareTo(b.Id));
        _tokens = [.. entries.Select(static entry => entry.Id)];
        _isText = new bool[VocabularySize];
        foreach (int id in _tokens)
        {
            _isText[id] = true;
        }

        var label = new List<byte>();
        var depth = new List<ushort>();
        var firstToken = new List<int>();
        var skip = new List<int>();
        var path = new List<int>(); // node at each depth of the entry before
        ReadOnlyMemory<byte> before = default;
        for (int entry = 0; entry < entries.Count; entry++)
        {
            ReadOnlySpan<byte> bytes = entries[entry].Bytes.Span;
            int shared = before.Span.CommonPrefixLength(bytes);
            Close(shared);
            for (int d = shared; d < bytes.Length; d++)
            {
                path.Add(label.Count);
                label.Add(bytes[d]);
                depth.Add((ushort)d);
                skip.Add(0);
                firstToken.Add(entry); // no token may end here: then the next node starts at the same entry
            }

            before = entries[entry].Bytes;
        }

        Close(0);
        firstToken.Add(entries.Count);
        (_label, _depth, _firstToken, _skip) = ([.. label], [.. depth], [.. firstToken], [.. skip]);
        MaxDepth = _depth.Length == 0 ? 0 : _depth.Max() + 1;

        void Close(int to)
        {
            while (path.Count > to)
            {
                skip[path[^1]] = label.Count;
                path.RemoveAt(path.Count - 1);
            }
        }
    }

    /// <summary>Ids 0 up to but not including this.</summary>
    public int VocabularySize { get; }

    /// <summary>Ids that end a turn.</summary>
    public int[] EndIds { get; }

    /// <summary>Bytes of the longest token.</summary>
    public int MaxDepth { get; }

    /// <summary>Nodes.</summary>
    public int Count => _label.Length;

    /// <summary>True for a token that stands for text.</summary>
    public bool IsText(int id) => _isText[id];

    /// <summary>
    /// Sets a bit for every token whose bytes lead from <paramref name="start"/> through states, <paramref name="next"/> being null
    /// where a byte is impossible.
    /// </summary>
    public void Collect<TState>(TState start, Func<TState, byte, TState?> next, Span<ulong> allowed)
        where TState : class
    {
        var states = new TState[MaxDepth + 1];
        states[0] = start;
        for (int node = 0; node < _label.Length;)
        {
            int depth = _depth[node];
            if (next(states[depth], _label[node]) is not { } state)
            {
                node = _skip[node];
                continue;
            }

            states[depth + 1] = state;

            // Tokens that end at this node: those before the first child's (a sorted parent precedes its children).
            for (int entry = _firstToken[node]; entry < _firstToken[node + 1]; entry++)
            {
                allowed[_tokens[entry] >> 6] |= 1UL << (_tokens[entry] & 63);
            }

            node++;
        }
    }
}
