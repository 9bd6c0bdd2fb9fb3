using Cleave.Engine;

namespace Cleave.Inference.Sessions;

/// <summary>
/// What the worker's cache was built from: the encoded hidden state of every committed and live row, as sent. It follows the
/// same operation log as the caches, one answered frame at a time, so that it can be played to another worker.
/// </summary>
internal sealed class BoundaryLog(int rowBytes)
{
    private readonly List<ulong> _committed = [];
    private readonly List<byte[]> _committedRows = [];
    private readonly SortedDictionary<ulong, (ulong ParentId, byte[] Payload)> _live = [];
    private readonly List<ulong> _dead = [];

    /// <summary>Rows a new worker would have to be sent.</summary>
    public int RowCount => _committed.Count + _live.Count;

    /// <summary>Ids of committed rows, oldest first.</summary>
    public IReadOnlyList<ulong> Committed => _committed;

    /// <summary>Live rows, in order of id.</summary>
    public IEnumerable<TreeRow> Live => _live.Select(pair => new TreeRow(pair.Key, pair.Value.ParentId));

    /// <summary>The encoded state of the committed row at a position.</summary>
    public ReadOnlySpan<byte> CommittedPayload(int position) => _committedRows[position];

    /// <summary>The encoded state of a live row.</summary>
    public ReadOnlySpan<byte> LivePayload(ulong id) => _live[id].Payload;

    /// <summary>Follows a step the worker has answered.</summary>
    public void Apply(ReadOnlySpan<ulong> keep, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<byte> payload)
    {
        Keep(keep);
        for (int i = 0; i < rows.Length; i++)
        {
            _live[rows[i].Id] = (rows[i].ParentId, payload.Slice(i * rowBytes, rowBytes).ToArray());
        }
    }

    /// <summary>Follows a truncation the worker has answered.</summary>
    public void Truncate(int length)
    {
        _live.Clear();
        _committed.RemoveRange(length, _committed.Count - length);
        _committedRows.RemoveRange(length, _committedRows.Count - length);
    }

    private void Keep(ReadOnlySpan<ulong> ids)
    {
        if (ids.IsEmpty)
        {
            return;
        }

        foreach (ulong id in ids)
        {
            _committed.Add(id);
            _committedRows.Add(_live[id].Payload);
        }

        // Parents have lower ids, so a dead parent is gone before its children are looked at.
        ulong last = ids[^1];
        _dead.Clear();
        _dead.AddRange(_live.Keys);
        foreach (ulong id in _dead)
        {
            ulong parent = _live[id].ParentId;
            if (id <= last || (parent != last && !_live.ContainsKey(parent)))
            {
                _live.Remove(id);
            }
        }
    }
}
