namespace Cleave.Inference.Decoding;

/// <summary>
/// Jacobi decoding (Santilli et al. 2023, arXiv 2305.10427): a block of tokens is guessed at once, and every step replaces each
/// guess by what the model says after the guess before it, until a guess agrees with the model; the block then slides past what has
/// converged. Kept as the negative result it is: a token far ahead seldom settles before those before it have.
/// </summary>
public sealed class JacobiDrafter : IDrafter
{
    private readonly WindowFiller _filler = new();
    private readonly int[] _guesses;
    private readonly int[] _choices;

    /// <param name="block">Tokens guessed at once.</param>
    public JacobiDrafter(int block = 16)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(block, 1);
        _guesses = new int[block];
        _choices = new int[block + 1];
        Array.Fill(_choices, -1);
    }

    /// <inheritdoc />
    public string Name => "jacobi";

    /// <inheritdoc />
    public bool ObservesRows => true;

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        _filler.Reset(tokens);
        foreach (ref int guess in _guesses.AsSpan())
        {
            guess = _filler.Next();
        }
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        if (!nodes.Contains(0))
        {
            return;
        }

        tree[0].Observed = true;
        int node = 0;
        foreach (int guess in _guesses)
        {
            node = tree.AddPinned(node, guess, DraftSource.Window);
            if (node < 0)
            {
                return;
            }

            tree[node].Observed = true;
        }
    }

    /// <inheritdoc />
    public void Observe(DraftTree tree, ReadOnlySpan<int> rows, Func<int, int> choose)
    {
        foreach (int row in rows)
        {
            _choices[tree[row].Depth] = choose(row);
        }
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        // The new root is the block's place path.Length - 1; what the model said after place p is the guess for place p + 1.
        int at = path.Length - 1;
        for (int i = 0; i < _guesses.Length; i++)
        {
            int choice = at + i < _choices.Length ? _choices[at + i] : -1;
            _guesses[i] = choice >= 0 ? choice : _filler.Next();
        }

        Array.Fill(_choices, -1);
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
