using System.Runtime.InteropServices;

namespace Cleave.Inference.Decoding;

/// <summary>
/// Suffix decoding (Oliaro et al. 2024, arXiv 2411.04975) over a suffix automaton of prompt and output: the state of the
/// longest suffix seen before gives the tokens that followed it, with counts; shorter suffixes fill in what it has not
/// seen. Every node of the tree carries its own state, so the whole tree under the node rule comes from counts.
/// </summary>
public sealed class SuffixDrafter : IDrafter
{
    private readonly SuffixAutomaton _automaton = new();
    private readonly List<int> _tokens = [];
    private readonly Dictionary<ulong, (int State, int Length)> _states = [];
    private readonly int _minMatch;

    /// <param name="minMatch">Shortest suffix that proposes anything.</param>
    public SuffixDrafter(int minMatch = 2) => _minMatch = minMatch;

    /// <inheritdoc />
    public string Name => "suffix";

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        ReadOnlySpan<int> known = CollectionsMarshal.AsSpan(_tokens);
        if (!(tokens.Length >= known.Length && tokens[..known.Length].SequenceEqual(known)))
        {
            _tokens.Clear();
            _automaton.Clear();
        }

        Append(tokens[_tokens.Count..]);
        _states.Clear();
        _states[tree[0].Serial] = _automaton.LongestRepeatedSuffix();
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        foreach (int node in nodes)
        {
            if (!_states.TryGetValue(tree[node].Serial, out (int State, int Length) at))
            {
                at = StateOf(tree, node);
                _states[tree[node].Serial] = at;
            }

            Propose(tree, node, at, threshold);
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
        _states.Clear(); // counts and states changed with the new tokens
        _states[tree[path[^1]].Serial] = _automaton.LongestRepeatedSuffix();
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private void Append(ReadOnlySpan<int> tokens)
    {
        _tokens.AddRange(tokens);
        foreach (int token in tokens)
        {
            _automaton.Append(token);
        }
    }

    private (int State, int Length) StateOf(DraftTree tree, int node)
    {
        if (_states.TryGetValue(tree[node].Serial, out (int State, int Length) known))
        {
            return known;
        }

        return tree[node].Parent < 0
            ? _automaton.LongestRepeatedSuffix()
            : _automaton.Follow(StateOf(tree, tree[node].Parent), tree[node].Token);
    }

    /// <summary>
    /// Tokens seen after the state's string, most frequent first. A suffix of length m seen c times is trusted like
    /// c / (c + 1/m)-smoothed counts: one sighting of a long suffix is worth more than one of a short one.
    /// </summary>
    private void Propose(DraftTree tree, int node, (int State, int Length) at, double threshold)
    {
        double left = 1;
        int rank = 0;
        int state = at.State;
        int length = at.Length;
        while (length >= _minMatch && left * tree[node].PathProbability > threshold)
        {
            int total = _automaton.FollowerTotal(state);
            if (total > 0)
            {
                double trust = total / (total + (1.5 / length));
                foreach ((int token, int next) in _automaton.Followers(state))
                {
                    double probability = left * trust * _automaton.Occurrences(next) / total;
                    if (probability * tree[node].PathProbability >= threshold && tree.FindChild(node, token) < 0)
                    {
                        tree.Add(node, token, probability, threshold, DraftSource.Suffix, rank++);
                    }
                }

                left *= 1 - trust;
            }

            state = _automaton.Link(state);
            length = state < 0 ? 0 : _automaton.LengthOf(state);
        }
    }
}
