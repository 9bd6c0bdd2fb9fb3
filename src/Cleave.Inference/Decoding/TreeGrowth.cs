namespace Cleave.Inference.Decoding;

/// <summary>Decides which nodes of the tree the drafter is asked about, likeliest first, and keeps account of the time it takes.</summary>
internal sealed class TreeGrowth(DraftTree tree, IDrafter drafter, StepCosts costs, TimeProvider clock)
{
    /// <summary>Nodes asked for in one call: one forward pass of a draft model.</summary>
    private const int BatchNodes = 24;

    /// <summary>Nodes the tree may hold, sent or not.</summary>
    private const int MaxNodes = 768;

    /// <summary>Of a node's mass, what its children bring: the first guess is right about so often.</summary>
    private const double Yield = 0.7;

    private readonly double[] _best = new double[BatchNodes];
    private readonly int[] _batch = new int[BatchNodes];
    private int _count;

    /// <summary>Time spent drafting so far.</summary>
    public double TotalMs { get; private set; }

    /// <summary>Nodes the drafter was asked about so far.</summary>
    public long NodesAsked { get; private set; }

    /// <summary>True when some node at or above <paramref name="floor"/> was not asked about yet.</summary>
    public bool HasFrontier(double floor)
    {
        Collect(floor);
        return _count > 0;
    }

    /// <summary>
    /// Asks about the likeliest nodes at or above <paramref name="floor"/>. False when there are none, or when the time costs
    /// more tokens, at <paramref name="tokensPerMs"/> (0: the time is free), than the children bring.
    /// </summary>
    public bool Step(double floor, double threshold, double tokensPerMs)
    {
        Collect(floor);
        if (_count == 0 || tree.Count >= MaxNodes)
        {
            return false;
        }

        if (drafter.IsCostly && tokensPerMs > 0)
        {
            double mass = 0;
            for (int i = 0; i < _count; i++)
            {
                mass += _best[i];
            }

            if (Yield * mass <= tokensPerMs * costs.Draft.Of(_count))
            {
                return false;
            }
        }

        long started = clock.GetTimestamp();
        Span<int> batch = _batch.AsSpan(0, _count);
        batch.Sort(); // parents first
        drafter.Expand(tree, batch, threshold);
        foreach (int node in batch)
        {
            tree[node].Expanded = true;
        }

        double milliseconds = clock.GetElapsedTime(started).TotalMilliseconds;
        TotalMs += milliseconds;
        NodesAsked += _count;
        costs.Draft.Observe(_count, milliseconds);
        return true;
    }

    /// <summary>The likeliest nodes not asked about, in descending order of path probability.</summary>
    private void Collect(double floor)
    {
        _count = 0;
        Span<DraftNode> nodes = tree.Nodes;
        for (int i = 0; i < nodes.Length; i++)
        {
            ref DraftNode node = ref nodes[i];
            if (node.Expanded || node.WindowOnly || node.Depth >= tree.MaxDepth || node.PathProbability < floor
                || (_count == BatchNodes && node.PathProbability <= _best[^1]))
            {
                continue;
            }

            int at = _count < BatchNodes ? _count++ : BatchNodes - 1;
            for (; at > 0 && _best[at - 1] < node.PathProbability; at--)
            {
                _best[at] = _best[at - 1];
                _batch[at] = _batch[at - 1];
            }

            _best[at] = node.PathProbability;
            _batch[at] = i;
        }
    }
}
