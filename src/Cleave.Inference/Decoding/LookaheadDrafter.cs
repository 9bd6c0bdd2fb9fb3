namespace Cleave.Inference.Decoding;

/// <summary>
/// Lookahead decoding (Fu et al. 2024, arXiv 2402.02057) with window W, n-gram size N and guess set G. A step's rows are, after the
/// root:
/// <list type="number">
/// <item>guesses: up to G n-grams of the pool that begin with the root's token, N - 1 tokens each;</item>
/// <item>the window's level 0: W tokens, a chain from the root;</item>
/// <item>its levels 1 to N - 2: level l, column i follows level l - 1, column i.</item>
/// </list>
/// What the model says after the last level becomes the new last level, the others move down, and each column with its new token
/// is an n-gram for the pool. Window rows are computed and never accepted. All of them come back: the tail's layers
/// attend to every level, so that a row kept from returning would be missing there.
/// </summary>
public sealed class LookaheadDrafter : IDrafter
{
    private readonly WindowFiller _filler = new();
    private readonly Dictionary<int, List<int[]>> _pool = [];
    private readonly Dictionary<ulong, int> _columns = [];
    private readonly int[][] _levels;
    private readonly int[] _nodes;
    private readonly int[] _choices;
    private readonly int _guesses;

    /// <param name="window">W, columns.</param>
    /// <param name="ngram">N, tokens of an n-gram, at least 3.</param>
    /// <param name="guesses">G, n-grams verified in a step and kept for a first token.</param>
    public LookaheadDrafter(int window = 4, int ngram = 4, int guesses = 8)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(window, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(ngram, 3);
        ArgumentOutOfRangeException.ThrowIfLessThan(guesses, 1);
        _levels = [.. Enumerable.Range(0, ngram - 1).Select(_ => new int[window])];
        _nodes = new int[window];
        _choices = new int[window];
        Array.Fill(_choices, -1);
        _guesses = guesses;
    }

    /// <inheritdoc />
    public string Name => "lookahead";

    /// <inheritdoc />
    public bool ObservesRows => true;

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        _filler.Reset(tokens);
        foreach (int[] level in _levels)
        {
            Fill(level, 0);
        }
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        if (!nodes.Contains(0))
        {
            return;
        }

        // 1. Guesses, the newest first: they come before the window when there is no room for all.
        if (_pool.TryGetValue(tree[0].Token, out List<int[]>? known))
        {
            for (int i = known.Count - 1; i >= 0; i--)
            {
                int node = 0;
                for (int j = 0; j < known[i].Length && node >= 0; j++)
                {
                    node = tree.AddPinned(node, known[i][j], DraftSource.Window);
                }
            }
        }

        // 2. Level 0 hangs in a chain from the root, every other level from the one below it.
        _columns.Clear();
        for (int level = 0; level < _levels.Length; level++)
        {
            for (int column = 0; column < _nodes.Length; column++)
            {
                int parent = level > 0 ? _nodes[column] : column > 0 ? _nodes[column - 1] : 0;
                _nodes[column] = parent < 0 ? -1 : tree.AddWindow(parent, _levels[level][column]);
                if (level == _levels.Length - 1 && _nodes[column] >= 0)
                {
                    tree[_nodes[column]].Observed = true;
                    _columns[tree[_nodes[column]].Serial] = column;
                }
            }
        }
    }

    /// <inheritdoc />
    public void Observe(DraftTree tree, ReadOnlySpan<int> rows, Func<int, int> choose)
    {
        foreach (int row in rows)
        {
            _choices[_columns[tree[row].Serial]] = choose(row);
        }
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        // 1. Every column is an n-gram now.
        for (int column = 0; column < _choices.Length; column++)
        {
            if (_choices[column] >= 0)
            {
                Remember([.. _levels.Select(level => level[column]), _choices[column]]);
            }
        }

        // 2. Levels move down by one, the new one on top; a column whose row found no room starts anew.
        int[] first = _levels[0];
        Array.Copy(_levels, 1, _levels, 0, _levels.Length - 1);
        _levels[^1] = first;
        for (int column = 0; column < _choices.Length; column++)
        {
            first[column] = _choices[column] >= 0 ? _choices[column] : _filler.Next();
        }

        Array.Fill(_choices, -1);

        // 3. Moving down already counts for one token; for each token more, columns move left to stay at their positions.
        int left = Math.Min(path.Length - 2, _nodes.Length);
        if (left > 0)
        {
            foreach (int[] level in _levels)
            {
                Array.Copy(level, left, level, 0, level.Length - left);
                Fill(level, level.Length - left);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private void Fill(int[] level, int from)
    {
        for (int i = from; i < level.Length; i++)
        {
            level[i] = _filler.Next();
        }
    }

    /// <summary>Puts an n-gram last among those with its first token; the oldest of more than G is forgotten.</summary>
    private void Remember(int[] ngram)
    {
        if (!_pool.TryGetValue(ngram[0], out List<int[]>? known))
        {
            _pool[ngram[0]] = known = new List<int[]>(_guesses + 1);
        }

        int[] rest = ngram[1..];
        known.RemoveAll(k => k.AsSpan().SequenceEqual(rest));
        known.Add(rest);
        if (known.Count > _guesses)
        {
            known.RemoveAt(0);
        }
    }
}
