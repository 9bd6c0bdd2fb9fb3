using Cleave.Inference.Decoding;

namespace Cleave.PrivacyLab.Capture;

/// <summary>Notes which token each row held and what the model said after it, while another drafter does the guessing.</summary>
/// <param name="inner">The drafter; disposed with this one.</param>
internal sealed class TruthRecorder(IDrafter inner) : IDrafter
{
    /// <summary>Tokens by row id.</summary>
    public Dictionary<ulong, int> Tokens { get; } = [];

    /// <summary>What the model emitted after a row, by row id; the rows it was emitted after are the committed ones.</summary>
    public Dictionary<ulong, int> Emitted { get; } = [];

    public string Name => inner.Name;

    public bool ObservesRows => inner.ObservesRows;

    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree) => inner.Begin(tokens, tree);

    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold) => inner.Expand(tree, nodes, threshold);

    public void Observe(DraftTree tree, ReadOnlySpan<int> rows, Func<int, int> choose) => inner.Observe(tree, rows, choose);

    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        foreach (DraftNode node in tree.Nodes)
        {
            if (node.RowId != 0)
            {
                Tokens[node.RowId] = node.Token;
            }
        }

        for (int i = 1; i < path.Length; i++)
        {
            Emitted[tree[path[i - 1]].RowId] = tree[path[i]].Token;
        }

        inner.Advance(tree, path);
    }

    public void Dispose() => inner.Dispose();
}
