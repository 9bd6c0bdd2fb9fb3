using System.Runtime.InteropServices;
using Cleave.Engine;

namespace Cleave.Inference.Sessions;

/// <summary>
/// The rows of a session by id, as this side counts them: which are committed and with which token, which are live and under which parent,
/// and which commits the middle has not been told of yet.
/// </summary>
internal sealed class RowLedger
{
    private readonly List<int> _committedTokens = [];
    private readonly List<ulong> _committedIds = [];
    private readonly List<ulong> _untold = [];
    private readonly Dictionary<ulong, (ulong ParentId, int Token)> _live = [];
    private TreeRow[] _rows = new TreeRow[64];
    private ulong[] _keep = new ulong[64];

    /// <summary>Tokens of the committed rows.</summary>
    public IReadOnlyList<int> CommittedTokens => _committedTokens;

    /// <summary>Id of the last committed row; 0 when none.</summary>
    public ulong LastCommittedId => _committedIds.Count == 0 ? 0 : _committedIds[^1];

    /// <summary>Id the next row gets.</summary>
    public ulong NextId { get; private set; } = 1;

    /// <summary>Tokens of the live rows.</summary>
    public IEnumerable<int> LiveTokens => _live.Values.Select(static live => live.Token);

    /// <summary>Rows of the next step, a chain of prompt tokens behind the committed ones.</summary>
    public ReadOnlyMemory<TreeRow> Chain(int count)
    {
        for (int i = 0; i < count; i++)
        {
            SetRow(i, i == 0 ? LastCommittedId : NextId + (ulong)(i - 1));
        }

        return _rows.AsMemory(0, count);
    }

    /// <summary>Rows of the next step, live from now on.</summary>
    public ReadOnlyMemory<TreeRow> Tree(ReadOnlySpan<int> tokens, ReadOnlySpan<ulong> parentIds)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            SetRow(i, parentIds[i]);
            _live[NextId + (ulong)i] = (parentIds[i], tokens[i]);
        }

        return _rows.AsMemory(0, tokens.Length);
    }

    /// <summary>The step's rows are on their way: their ids are used up.</summary>
    public void Sent(int count) => NextId += (ulong)count;

    /// <summary>Commits the middle has not been told of, oldest first, as told from now on; valid until the next call.</summary>
    public ReadOnlyMemory<ulong> TakeUntold()
    {
        int count = _untold.Count;
        if (_keep.Length < count)
        {
            _keep = new ulong[2 * count];
        }

        _untold.CopyTo(_keep);
        _untold.Clear();
        return _keep.AsMemory(0, count);
    }

    /// <summary>Commits the prompt rows just sent; returns their ids.</summary>
    public ReadOnlySpan<ulong> CommitChain(ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            Add(NextId - (ulong)(tokens.Length - i), tokens[i]);
        }

        return CollectionsMarshal.AsSpan(_committedIds)[^tokens.Length..];
    }

    /// <summary>Commits live rows.</summary>
    public void Commit(ReadOnlySpan<ulong> rowIds)
    {
        foreach (ulong id in rowIds)
        {
            Add(id, _live[id].Token);
        }
    }

    /// <summary>The parent of a live row; false when it is none any more.</summary>
    public bool TryGetParent(ulong rowId, out ulong parentId)
    {
        bool found = _live.TryGetValue(rowId, out (ulong ParentId, int Token) live);
        parentId = live.ParentId;
        return found;
    }

    /// <summary>Forgets live rows for which <paramref name="isLive"/> is false.</summary>
    public void ForgetDead(Func<ulong, bool> isLive)
    {
        foreach (ulong id in _live.Keys.ToArray())
        {
            if (!isLive(id))
            {
                _live.Remove(id);
            }
        }
    }

    /// <summary>Forgets committed rows from <paramref name="length"/> on, and every live one.</summary>
    public void Truncate(int length)
    {
        _committedTokens.RemoveRange(length, _committedTokens.Count - length);
        _committedIds.RemoveRange(length, _committedIds.Count - length);
        _live.Clear();
    }

    private void Add(ulong id, int token)
    {
        _committedIds.Add(id);
        _committedTokens.Add(token);
        _untold.Add(id);
    }

    private void SetRow(int index, ulong parentId)
    {
        if (_rows.Length <= index)
        {
            Array.Resize(ref _rows, 2 * _rows.Length);
        }

        _rows[index] = new TreeRow(NextId + (ulong)index, parentId);
    }
}
