using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>
/// A mask along the paths of a draft tree, so that drafters never guess what the mask forbids: such a guess cannot be right,
/// and would cost a row. A mask's state after a node is worked out when a child of it is proposed, and kept until the root moves.
/// </summary>
internal sealed class PathMasks(DraftTree tree, ITokenMask start)
{
    private readonly Dictionary<ulong, ITokenMask> _after = [];

    /// <summary>What may follow the newest certain token.</summary>
    public ITokenMask Current { get; private set; } = start;

    /// <summary>Goes on after a certain token.</summary>
    public void Advance(int token) => Current = Current.Next(token);

    /// <summary>Forgets the paths: the root has moved to the newest certain token.</summary>
    public void Reroot() => _after.Clear();

    /// <summary>True when <paramref name="token"/> may follow the node <paramref name="parent"/>.</summary>
    public bool Allows(int parent, int token) => After(parent).Allows(token);

    private ITokenMask After(int node)
    {
        if (tree[node].Parent < 0)
        {
            return Current;
        }

        ulong serial = tree[node].Serial;
        if (!_after.TryGetValue(serial, out ITokenMask? mask))
        {
            mask = After(tree[node].Parent).Next(tree[node].Token);
            _after.Add(serial, mask);
        }

        return mask;
    }
}
