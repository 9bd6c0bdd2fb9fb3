namespace Cleave.Inference.Decoding;

/// <summary>
/// Guesses about how the text goes on. Node 0 is the root: the newest token that is certain, whose own successor is not known
/// yet. Every other node is a candidate token after its parent. Nodes are stored parents first. Serials are stable names
/// for nodes: a drafter keeps its own state under them while indices change.
/// </summary>
public sealed class DraftTree
{
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
        Append(new DraftNode { Token = rootToken, Parent = -1, PathProbability = 1, Serial = _nextSerial++ });
    }

    /// <summary>
    /// Adds a candidate after <paramref name="parent"/>, or raises the probability of one already there. Returns its index, -1 when
    /// its path probability is under <paramref name="threshold"/>.
    /// </summary>
    /// <param name="parent">Index of the parent.</param>
    /// <param name="token">The guess.</param>
    /// <param name="probability">Estimated probability that the token follows its parent, given that the parent is right.</param>
    /// <param name="threshold">Path probability under which a node is not worth its row.</param>
    /// <param name="source">Which drafter says so (index among those in use).</param>
    /// <param name="rank">Its rank among the drafter's guesses for this parent.</param>
    public int Add(int parent, int token, double probability, double threshold, int source = 0, int rank = 0)
    {
        double path = _nodes[parent].PathProbability * probability;
        for (int child = _nodes[parent].FirstChild; child > 0; child = _nodes[child].NextSibling)
        {
            if (_nodes[child].Token == token)
            {
                if (path > _nodes[child].PathProbability)
                {
                    _nodes[child].PathProbability = path;
                    _nodes[child].Probability = probability;
                }

                return child;
            }
        }

        if (path < threshold || _nodes[parent].Depth >= MaxDepth || Allows?.Invoke(parent, token) == false)
        {
            return -1;
        }

        return AddChild(parent, token, probability, path, source, rank);
    }
    /// <summary>Index of the child of <paramref name="parent"/> that holds <paramref name="token"/>, -1 when there is none.</summary>
    public int FindChild(int parent, int token)
    {
        for (int child = _nodes[parent].FirstChild; child > 0; child = _nodes[child].NextSibling)
        {
            if (_nodes[child].Token == token)
            {
                return child;
            }
        }

        return -1;
    }

    /// <summary>Adds a certain token after <paramref name="parent"/> that nobody guessed.</summary>
    public int AddCertain(int parent, int token) =>
        FindChild(parent, token) is var known && known >= 0 && !_nodes[known].WindowOnly ? known : AddChild(parent, token, 1, _nodes[parent].PathProbability, 0, 0);

    /// <summary>Makes <paramref name="index"/> the root and forgets every node that does not descend from it.</summary>
    public void Reroot(int index)
    {
        if (_map.Length < Count)
        {
            _map = new int[_nodes.Length];
        }

        double scale = Math.Max(_nodes[index].PathProbability, double.Epsilon);
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
            node.PathProbability = i == index ? 1 : Math.Min(1, node.PathProbability / scale);
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

    private int AddChild(int parent, int token, double probability, double path, int source, int rank)
    {
        int index = Append(new DraftNode
        {
            Token = token,
            Parent = parent,
            Depth = _nodes[parent].Depth + 1,
            Probability = probability,
            PathProbability = path,
            Serial = _nextSerial++,
            Source = (byte)source,
            Rank = (ushort)rank,
            NextSibling = _nodes[parent].FirstChild,
        });
        _nodes[parent].FirstChild = index;
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
