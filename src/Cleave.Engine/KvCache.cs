using Cleave.Compute;

namespace Cleave.Engine;

/// <summary>
/// One session's cache on one machine: a slot table (position -> slot) for committed rows, and the live rows of the token
/// tree. Head, middle and tail apply the same operation log: <see cref="Append"/>, <see cref="Keep"/>,
/// <see cref="Truncate"/>. Committing edits the table and never moves keys or values. Every operation validates first
/// and changes nothing when it faults. Ids increase along every path, so committed ids are sorted.
/// </summary>
public sealed class KvCache : IDisposable
{
    private readonly KvPool _pool;
    private readonly int _contextLength;
    private ulong[] _committedIds;
    private int[] _table;
    private LiveRow[] _live = new LiveRow[64];
    private int[] _slotScratch = new int[64];
    private int[] _tailScratch = new int[64];
    private bool _disposed;

    /// <param name="pool">Where slots come from.</param>
    /// <param name="maxTokens">Most rows, committed and live, this session may hold.</param>
    /// <param name="contextLength">Positions the model can represent.</param>
    public KvCache(KvPool pool, int maxTokens, int contextLength)
    {
        _pool = pool;
        MaxTokens = maxTokens;
        _contextLength = contextLength;
        int initial = Math.Min(maxTokens, 256);
        _committedIds = new ulong[initial];
        _table = new int[initial];
    }

    /// <summary>Most rows this session may hold.</summary>
    public int MaxTokens { get; }

    /// <summary>Committed positions.</summary>
    public int CommittedLength { get; private set; }

    /// <summary>Live rows: appended, neither committed nor dead.</summary>
    public int LiveCount { get; private set; }

    /// <summary>Rows held, committed and live.</summary>
    public int HeldTokens => CommittedLength + LiveCount;

    /// <summary>Greatest id ever appended.</summary>
    public ulong LastId { get; private set; }

    /// <summary>Id of the last committed row, 0 when none.</summary>
    public ulong LastCommittedId => CommittedLength == 0 ? 0 : _committedIds[CommittedLength - 1];

    /// <summary>True when a row with this id is live.</summary>
    public bool IsLive(ulong id) => FindLive(id) >= 0;

    /// <summary>
    /// Appends rows in order. A row whose parent is dead is dropped, and so are its descendants: <paramref name="dropped"/>
    /// (one entry per row) says which. Then <see cref="AddToPlan"/> describes the rows just appended.
    /// </summary>
    public CacheOutcome Append(ReadOnlySpan<TreeRow> rows, Span<bool> dropped)
    {
        // 1. Validate everything; remember where each row hangs.
        ulong lastId = LastId;
        int kept = 0;
        EnsureLive(LiveCount + rows.Length);
        for (int i = 0; i < rows.Length; i++)
        {
            TreeRow row = rows[i];
            if (row.Id <= lastId)
            {
                return new CacheOutcome(CacheFault.IdOutOfOrder, i);
            }

            if (row.ParentId >= row.Id || (row.ParentId > LastId && !ContainsId(rows[..i], row.ParentId)))
            {
                return new CacheOutcome(CacheFault.UnknownParent, i);
            }

            lastId = row.Id;
            if (!TryResolve(row.ParentId, kept, out int parentLive, out int prefixLength, out int position))
            {
                dropped[i] = true;
                continue;
            }

            if (position >= _contextLength)
            {
                return new CacheOutcome(CacheFault.PastContext, i);
            }

            dropped[i] = false;
            _live[LiveCount + kept++] = new LiveRow(row.Id, parentLive, prefixLength, position, Slot: -1);
        }

        if (HeldTokens + kept > MaxTokens)
        {
            return new CacheOutcome(CacheFault.OverSessionLimit, MaxTokens - HeldTokens);
        }

        // 2. Take slots.
        Span<int> slots = Scratch(ref _slotScratch, kept);
        if (!_pool.TryRent(slots))
        {
            return new CacheOutcome(CacheFault.PoolExhausted);
        }

        // 3. Apply.
        for (int i = 0; i < kept; i++)
        {
            ref LiveRow live = ref _live[LiveCount + i];
            live = live with { Slot = slots[i] };
        }

        LiveCount += kept;
        LastId = lastId;
        return new CacheOutcome(CacheFault.None, Dropped: rows.Length - kept);
    }

    /// <summary>Adds the <paramref name="count"/> most recently appended rows to a plan, in order.</summary>
    public void AddToPlan(AttentionPlan plan, int count)
    {
        int tableOffset = plan.AddTable(_table.AsSpan(0, CommittedLength));
        for (int i = LiveCount - count; i < LiveCount; i++)
        {
            int length = _live[i].Position + 1 - _live[i].PrefixLength;
            Span<int> tail = Scratch(ref _tailScratch, length);
            for (int node = i, at = length - 1; at >= 0; node = _live[node].ParentLive, at--)
            {
                tail[at] = _live[node].Slot;
            }

            plan.AddRow(tableOffset, _live[i].PrefixLength, tail);
        }
    }

    /// <summary>
    /// Commits a chain of live rows, oldest first, which must continue the committed rows, and kills every live row that
    /// does not descend from the last of them. An empty chain changes nothing.
    /// </summary>
    public CacheOutcome Keep(ReadOnlySpan<ulong> ids)
    {
        if (ids.IsEmpty)
        {
            return default;
        }

        // 1. Validate the chain.
        int parent = -1;
        for (int i = 0; i < ids.Length; i++)
        {
            int index = FindLive(ids[i]);
            if (index < 0)
            {
                return new CacheOutcome(CacheFault.UnknownRow, i);
            }

            bool continues = i == 0
                ? _live[index].ParentLive < 0 && _live[index].PrefixLength == CommittedLength
                : _live[index].ParentLive == parent;
            if (!continues)
            {
                return new CacheOutcome(CacheFault.NotAChain, i);
            }

            parent = index;
        }

        // 2. Commit it.
        GrowTable(CommittedLength + ids.Length);
        for (int i = 0; i < ids.Length; i++)
        {
            int index = FindLive(ids[i]);
            _committedIds[CommittedLength + i] = ids[i];
            _table[CommittedLength + i] = _live[index].Slot;
        }

        CommittedLength += ids.Length;

        // 3. Keep what descends from the last row, kill the rest. Parents precede children, so one pass suffices;
        //    moved[i] is the new index of old row i, -1 when it is gone.
        Span<int> moved = Scratch(ref _tailScratch, LiveCount);
        Span<int> dead = Scratch(ref _slotScratch, LiveCount);
        int deadCount = 0;
        int survivors = 0;
        for (int i = 0; i < LiveCount; i++)
        {
            LiveRow row = _live[i];
            bool committed = ids.BinarySearch(row.Id) >= 0;
            int newParent = row.ParentLive == parent ? -1 : row.ParentLive < 0 ? -2 : moved[row.ParentLive] < 0 ? -2 : moved[row.ParentLive];
            if (committed || newParent == -2)
            {
                moved[i] = -1;
                if (!committed)
                {
                    dead[deadCount++] = row.Slot;
                }

                continue;
            }

            moved[i] = survivors;
            _live[survivors++] = row with { ParentLive = newParent, PrefixLength = CommittedLength };
        }

        LiveCount = survivors;
        _pool.Release(dead[..deadCount]);
        return default;
    }

    /// <summary>Forgets the <paramref name="count"/> rows appended last, before anything was appended after them.</summary>
    public void ForgetLast(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, LiveCount);
        Span<int> forgotten = Scratch(ref _slotScratch, count);
        for (int i = 0; i < count; i++)
        {
            forgotten[i] = _live[LiveCount - count + i].Slot;
        }

        _pool.Release(forgotten);
        LiveCount -= count;
    }

    /// <summary>Forgets committed positions from <paramref name="length"/> on, and every live row.</summary>
    public CacheOutcome Truncate(int length)
    {
        if (length < 0 || length > CommittedLength)
        {
            return new CacheOutcome(CacheFault.BadLength, CommittedLength);
        }

        KillLive();
        _pool.Release(_table.AsSpan(length, CommittedLength - length));
        CommittedLength = length;
        return default;
    }

    /// <summary>A new cache that shares this one's committed rows, or null when the pool cannot share them.</summary>
    public KvCache? Fork()
    {
        if (!_pool.TryShare(_table.AsSpan(0, CommittedLength)))
        {
            return null;
        }

        var copy = new KvCache(_pool, MaxTokens, _contextLength) { LastId = LastId };
        copy.GrowTable(CommittedLength);
        _committedIds.AsSpan(0, CommittedLength).CopyTo(copy._committedIds);
        _table.AsSpan(0, CommittedLength).CopyTo(copy._table);
        copy.CommittedLength = CommittedLength;
        return copy;
    }

    /// <summary>Gives every slot back.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Truncate(0);
        }
    }

    private static bool ContainsId(ReadOnlySpan<TreeRow> rows, ulong id)
    {
        int low = 0, high = rows.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (rows[middle].Id == id)
            {
                return true;
            }

            (low, high) = rows[middle].Id < id ? (middle + 1, high) : (low, middle - 1);
        }

        return false;
    }

    private static Span<int> Scratch(ref int[] array, int length)
    {
        if (array.Length < length)
        {
            array = new int[Math.Max(length, 2 * array.Length)];
        }

        return array.AsSpan(0, length);
    }

    private void KillLive()
    {
        Span<int> dead = Scratch(ref _slotScratch, LiveCount);
        for (int i = 0; i < LiveCount; i++)
        {
            dead[i] = _live[i].Slot;
        }

        _pool.Release(dead);
        LiveCount = 0;
    }

    /// <summary>Where a row with this parent hangs, counting <paramref name="pending"/> rows being appended; false when the parent is dead.</summary>
    private bool TryResolve(ulong parentId, int pending, out int parentLive, out int prefixLength, out int position)
    {
        parentLive = -1;
        if (parentId == 0)
        {
            prefixLength = 0;
            position = 0;
            return true;
        }

        int committed = _committedIds.AsSpan(0, CommittedLength).BinarySearch(parentId);
        if (committed >= 0)
        {
            prefixLength = committed + 1;
            position = committed + 1;
            return true;
        }

        parentLive = FindLive(parentId, LiveCount + pending);
        if (parentLive < 0)
        {
            prefixLength = 0;
            position = 0;
            return false;
        }

        prefixLength = _live[parentLive].PrefixLength;
        position = _live[parentLive].Position + 1;
        return true;
    }

    private int FindLive(ulong id) => FindLive(id, LiveCount);

    private int FindLive(ulong id, int count)
    {
        int low = 0, high = count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            ulong at = _live[middle].Id;
            if (at == id)
            {
                return middle;
            }

            (low, high) = at < id ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }

    private void EnsureLive(int count)
    {
        if (_live.Length < count)
        {
            Array.Resize(ref _live, Math.Max(count, 2 * _live.Length));
        }
    }

    private void GrowTable(int length)
    {
        if (_table.Length < length)
        {
            int size = Math.Max(length, Math.Min(MaxTokens, 2 * _table.Length));
            Array.Resize(ref _table, size);
            Array.Resize(ref _committedIds, size);
        }
    }

    /// <param name="Id">Row id.</param>
    /// <param name="ParentLive">Index of the parent among live rows, -1 when the parent is committed or the root.</param>
    /// <param name="PrefixLength">Committed positions the row's path starts with.</param>
    /// <param name="Position">Position in the sequence.</param>
    /// <param name="Slot">Arena slot.</param>
    private readonly record struct LiveRow(ulong Id, int ParentLive, int PrefixLength, int Position, int Slot);
}
