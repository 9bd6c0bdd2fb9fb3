using System.Runtime.InteropServices;

namespace Cleave.Inference.Decoding;

/// <summary>The rows of one frame: nodes not yet sent that are worth it, parents first, the likeliest when there are too many.</summary>
internal sealed class StepFrame
{
    private readonly List<int> _nodes = [];
    private readonly List<double> _ranked = [];
    private int[] _tokens = new int[64];
    private ulong[] _parents = new ulong[64];
    private bool[] _chosen = new bool[64];

    /// <summary>Tree indices, parents first.</summary>
    public ReadOnlySpan<int> Nodes => CollectionsMarshal.AsSpan(_nodes);

    /// <summary>Their tokens.</summary>
    public ReadOnlyMemory<int> Tokens => _tokens.AsMemory(0, _nodes.Count);

    /// <summary>Row ids of their parents.</summary>
    public ReadOnlyMemory<ulong> Parents => _parents.AsMemory(0, _nodes.Count);

    /// <summary>Probability that the verdict leaves what was sent before through one of these rows.</summary>
    public double Mass { get; private set; }

    /// <summary>Chooses the rows and returns how many they are. The root and pinned rows are always worth theirs.</summary>
    public int Collect(DraftTree tree, double floor, int maxRows)
    {
        floor = Math.Max(floor, FloorFor(tree, floor, maxRows));
        if (_chosen.Length < tree.Count)
        {
            _chosen = new bool[2 * tree.Count];
        }

        _nodes.Clear();
        Mass = 0;
        Span<DraftNode> nodes = tree.Nodes;
        for (int i = 0; i < nodes.Length; i++)
        {
            ref DraftNode node = ref nodes[i];
            bool parentSent = node.Parent < 0 || nodes[node.Parent].RowId != 0;
            _chosen[i] = node.RowId == 0 && _nodes.Count < maxRows
                && (node.Parent < 0 || node.Pinned || node.PathProbability >= floor)
                && (parentSent || _chosen[node.Parent]);
            if (_chosen[i])
            {
                _nodes.Add(i);
                Mass += parentSent ? node.PathProbability : 0;
            }
        }

        return _nodes.Count;
    }

    /// <summary>Gives the chosen nodes their row ids and fills <see cref="Tokens"/> and <see cref="Parents"/>.</summary>
    public void Name(DraftTree tree, ulong firstId, ulong lastCommittedId)
    {
        if (_tokens.Length < _nodes.Count)
        {
            _tokens = new int[2 * _nodes.Count];
            _parents = new ulong[2 * _nodes.Count];
        }

        for (int i = 0; i < _nodes.Count; i++)
        {
            ref DraftNode node = ref tree[_nodes[i]];
            _tokens[i] = node.Token;
            _parents[i] = node.Parent < 0 ? lastCommittedId : tree[node.Parent].RowId;
            node.RowId = firstId + (ulong)i;
        }
    }

    /// <summary>The path probability that leaves at most <paramref name="maxRows"/> unsent nodes.</summary>
    private double FloorFor(DraftTree tree, double floor, int maxRows)
    {
        _ranked.Clear();
        foreach (ref DraftNode node in tree.Nodes)
        {
            if (node.RowId == 0 && node.PathProbability >= floor)
            {
                _ranked.Add(node.PathProbability);
            }
        }

        if (_ranked.Count <= maxRows || maxRows == 0)
        {
            return floor;
        }

        _ranked.Sort();
        return _ranked[^maxRows];
    }
}
