using System.Runtime.InteropServices;

namespace Cleave.Inference.Decoding;

/// <summary>
/// Prompt lookup (Saxena 2023): finds the latest earlier occurrence of the last n tokens, n from large to small, and proposes
/// what followed it as a chain.
/// </summary>
public sealed class NgramDrafter : IDrafter
{
    private readonly List<int> _tokens = [];
    private readonly Dictionary<ulong, int> _followers = [];
    private readonly int _minKey;
    private readonly int _maxKey;
    private readonly int _chain;
    private int _indexed;

    /// <param name="minKey">Shortest key in tokens; the paper's "lookahead" is 1, 2 is sensible.</param>
    /// <param name="maxKey">Longest key.</param>
    /// <param name="chain">Most tokens proposed; the paper's n-gram size less one.</param>
    public NgramDrafter(int minKey = 2, int maxKey = 4, int chain = 10)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(minKey, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxKey, minKey);
        ArgumentOutOfRangeException.ThrowIfLessThan(chain, 1);
        (_minKey, _maxKey, _chain) = (minKey, maxKey, chain);
    }

    /// <inheritdoc />
    public string Name => "ngram";

    /// <summary>Steps in which a key was found, and steps in all.</summary>
    public (int Matched, int Asked) Matches { get; private set; }

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        ReadOnlySpan<int> known = CollectionsMarshal.AsSpan(_tokens);
        if (!(tokens.Length >= known.Length && tokens[..known.Length].SequenceEqual(known)))
        {
            _tokens.Clear();
            _followers.Clear();
            _indexed = 0;
        }

        Append(tokens[_tokens.Count..]);
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        // Only the root is looked up: a chain follows one match to its end.
        if (!nodes.Contains(0))
        {
            return;
        }

        Matches = (Matches.Matched, Matches.Asked + 1);
        ReadOnlySpan<int> tokens = CollectionsMarshal.AsSpan(_tokens);
        for (int length = Math.Min(_maxKey, tokens.Length - 1); length >= _minKey; length--)
        {
            if (!_followers.TryGetValue(Key(tokens[^length..]), out int follower) || !tokens.Slice(follower - length, length).SequenceEqual(tokens[^length..]))
            {
                continue;
            }

            Matches = (Matches.Matched + 1, Matches.Asked);

            // Longer keys agree more often; the estimate is refined by the acceptance model.
            double probability = 1 - (0.5 / length);
            int node = 0;
            for (int i = 0; i < _chain && follower + i < tokens.Length; i++)
            {
                node = tree.Add(node, tokens[follower + i], probability, threshold, DraftSource.Ngram, i);
                if (node < 0)
                {
                    break;
                }

                tree[node].Expanded = true;
            }

            return;
        }
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        Span<int> added = stackalloc int[path.Length - 1];
        for (int i = 1; i < path.Length; i++)
        {
            added[i - 1] = tree[path[i]].Token;
        }

        Append(added);
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private void Append(ReadOnlySpan<int> tokens)
    {
        // Index keys that have a follower: those ending before the last token.
        _tokens.AddRange(tokens);
        ReadOnlySpan<int> all = CollectionsMarshal.AsSpan(_tokens);
        for (; _indexed < all.Length - 1; _indexed++)
        {
            int end = _indexed + 1;
            for (int length = _minKey; length <= Math.Min(_maxKey, end); length++)
            {
                _followers[Key(all.Slice(end - length, length))] = end;
            }
        }
    }

    /// <summary>FNV-1a over the key's tokens; a hit is compared in full.</summary>
    private static ulong Key(ReadOnlySpan<int> tokens)
    {
        ulong hash = 14695981039346656037UL;
        foreach (int token in tokens)
        {
            hash = (hash ^ (uint)token) * 1099511628211UL;
        }

        return (hash ^ (ulong)tokens.Length) * 1099511628211UL;
    }
}
