namespace Cleave.Inference.Decoding;

/// <summary>
/// Guesses about how the text goes on. Node 0 is the root: the newest token that is certain, whose own successor is not known
/// yet. Every other node is a candidate token after its parent. Nodes are stored parents first. Serials are stable names
/// for nodes: a drafter keeps its own state under them while indices change.
/// </summary>
public sealed class DraftTree
{
    private const double PinnedClaim = 0.3;

    private DraftNode[] _nodes = new DraftNode[128];
    private int[] _map = new int[128];
    private ulong _nextSerial = 1;

    /// <summary>Nodes, the root included.</summary>
    public int Count { get; private set; }

    /// <summary>Deepest node worth adding: the tokens still wanted, and the model's context, end there.</summary>
    public int MaxDepth { get; set; } = int.MaxValue;

    /// <summary>Says whether a token may follow a node at all (structured output); candidates that may not are not added. Null allows all.</summary>
    public Func<int, int, bool>? Allows { get; set; }

    /// <summary>A node, by index.</summary>
    public ref DraftNode this[int index] => ref _nodes.AsSpan(0, Count)[index];

    /// <summary>All nodes, parents first.</summary>
    public Span<DraftNode> Nodes => _nodes.AsSpan(0, Count);

    /// <summary>Empties the tree and plants a root.</summary>
    public void Reset(int rootToken)
    {
        Count = 0;
        Append(new DraftNode { Token = rootToken, Parent = -1, Probability = 1, PathProbability = 1, Serial = _nextSerial++ });
    }

    /// <summary>Turns claims into probabilities; null takes claims as they are.</summary>
    public AcceptanceModel? Acceptance { get; set; }

    /// <summary>
    /// Adds a candidate after <paramref name="parent"/>, or joins what is claimed of it with what is known already. Returns its
    /// index, -1 when its path probability is under <paramref name="threshold"/>.
    /// </summary>
    /// <param name="parent">Index of the parent.</param>
    /// <param name="token">The guess.</param>
    /// <param name="claim">The drafter's probability that the token follows its parent, given that the parent is right.</param>
    /// <param name="threshold">Path probability under which a node is not worth its row.</param>
    /// <param name="source">Which drafter says so.</param>
    /// <param name="rank">Its rank among the drafter's guesses for this parent.</param>
    public int Add(int parent, int token, double claim, double threshold, DraftSource source, int rank = 0)
    {
        int known = FindChild(parent, token);
        DraftNode node = known >= 0 ? _nodes[known] : new DraftNode { Token = token, Parent = parent, Source = source, Rank = (ushort)rank };
        if (source == DraftSource.Model)
        {
            node.ModelClaim = (float)claim;
        }
        else
        {
            node.LookupClaim = Math.Max(node.LookupClaim, (float)claim);
        }

        node.Probability = Acceptance?.Estimate(node, _nodes[parent]) ?? Math.Max(node.Probability, claim);
        node.PathProbability = _nodes[parent].PathProbability * node.Probability;
        if (known >= 0)
        {
            _nodes[known] = node;
            return known;
        }

        return node.PathProbability < threshold || _nodes[parent].Depth >= MaxDepth || Allows?.Invoke(parent, token) == false ? -1 : AddChild(node);
    }

    /// <summary>
    /// Adds a candidate that is sent whatever the node rule says (a drafter of fixed shape), or pins the one there is. Returns its index, -1 when
    /// nothing may stand there.
    /// </summary>
    public int AddPinned(int parent, int token, DraftSource source)
    {
        // The claim is a start; what a drafter without probabilities is worth, the acceptance model learns.
        int node = Add(parent, token, PinnedClaim, 0, source);
        if (node >= 0)
        {
            _nodes[node].Pinned = true;
            _nodes[node].Expanded = true;
        }

        return node;
    }

    /// <summary>Adds a node that is computed and never accepted, whatever else its parent has. Returns its index, -1 when it would lie too deep.</summary>
    public int AddWindow(int parent, int token) => _nodes[parent].Depth >= MaxDepth
        ? -1
        : AddChild(new DraftNode
        {
            Token = token,
            Parent = parent,
            Probability = 1,
            PathProbability = 1,
            Source = DraftSource.Window,
            WindowOnly = true,
            Pinned = true,
            Expanded = true,
        });

    /// <summary>Estimates the children of <paramref name="parent"/> anew, once everybody has been asked.</summary>
    public void Settle(int parent)
    {
        for (int child = _nodes[parent].FirstChild; child > 0; child = _nodes[child].NextSibling)
        {
            if (Acceptance is not null && !_nodes[child].WindowOnly && _nodes[child].Source != DraftSource.Certain)
            {
                _nodes[child].Probability = Acceptance.Estimate(_nodes[child], _nodes[parent]);
                _nodes[child].PathProbability = _nodes[parent].PathProbability * _nodes[child].Probability;
            }
        }
    }

    /// <summary>What lookup says of the children of <paramref name="parent"/>: the sum of its claims, and the best estimate.</summary>
    public (double Mass, double Best) LookupOf(int parent)
    {
        (double mass, double best) = (0, 0);
        for (int child = _nodes[parent].FirstChild; child > 0; child = _nodes[child].NextSibling)
        {
            mass += _nodes[child].LookupClaim;
            best = _nodes[child].WindowOnly ? best : Math.Max(best, _nodes[child].Probability);
        }

        return (mass, best);
    }

    /// <summary>Tells the acceptance model which child of <paramref name="parent"/> was right.</summary>
    public void Learn(int parent, int token)
    {
        for (int child = _nodes[parent].FirstChild; child > 0 && Acceptance is not null; child = _nodes[child].NextSibling)
        {
            Acceptance.Observe(_nodes[child], _nodes[parent], _nodes[child].Token == token);
        }
    }

    /// <summary>Index of the candidate <paramref name="token"/> after <paramref name="parent"/>, -1 when there is none.</summary>
    public int FindChild(int parent, int token)
    {
        for (int child = _nodes[parent].FirstChild; child > 0; child = _nodes[child].NextSibling)
        {
            if (_nodes[child].Token == token && !_nodes[child].WindowOnly)
            {
                return child;
            }
        }

        return -1;
    }

    /// <summary>Adds a certain token after <paramref name="parent"/> that nobody guessed.</summary>
    public int AddCertain(int parent, int token) =>
        FindChild(parent, token) is var known && known >= 0
            ? known
            : AddChild(new DraftNode { Token = token, Parent = parent, Probability = 1, PathProbability = _nodes[parent].PathProbability });

    /// <summary>Makes <paramref name="index"/> the root and forgets every node that does not descend from it.</summary>
    public void Reroot(int index)
    {
        if (_map.Length < Count)
        {
            _map = new int[_nodes.Length];
        }

        int baseDepth = _nodes[index].Depth;
        int kept = 0;
        for (int i = 0; i < Count; i++)
        {
            int parent = i == index ? -1 : i < index || _nodes[i].Parent < 0 ? -2 : _map[_nodes[i].Parent] is var moved && moved >= 0 ? moved : -2;
            if (parent == -2)
            {
                _map[i] = -1;
                continue;
            }

            _map[i] = kept;
            DraftNode node = _nodes[i];
            node.Parent = parent;
            node.Depth -= baseDepth;
            node.PathProbability = i == index || node.WindowOnly ? 1 : _nodes[parent].PathProbability * node.Probability;
            node.FirstChild = 0;
            node.NextSibling = 0;
            _nodes[kept] = node;
            if (parent >= 0)
            {
                _nodes[kept].NextSibling = _nodes[parent].FirstChild;
                _nodes[parent].FirstChild = kept;
            }

            kept++;
        }

        Count = kept;
    }

    private int AddChild(DraftNode node)
    {
        node.Depth = _nodes[node.Parent].Depth + 1;
        node.Serial = _nextSerial++;
        node.NextSibling = _nodes[node.Parent].FirstChild;
        int index = Append(node);
        _nodes[node.Parent].FirstChild = index;
        return index;
    }

    private int Append(in DraftNode node)
    {
        if (Count == _nodes.Length)
        {
            Array.Resize(ref _nodes, 2 * Count);
        }

        _nodes[Count] = node;
        return Count++;
    }
}
