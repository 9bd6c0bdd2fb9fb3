using Cleave.Compute;

namespace Cleave.Engine;

/// <summary>
/// Hands out the slots of a <see cref="KvArena"/>. Slots are reference counted, so that forks share a prefix. Released
/// slots are handed out again only after <see cref="Reclaim"/>: rows of one forward pass may still read them.
/// </summary>
public sealed class KvPool : IDisposable
{
    private readonly Lock _lock = new();
    private readonly int[] _free;
    private readonly int[] _released;
    private readonly ushort[] _references;
    private int _freeCount;
    private int _releasedCount;

    /// <summary>Takes ownership of <paramref name="arena"/>.</summary>
    public KvPool(KvArena arena)
    {
        Arena = arena;
        _free = new int[arena.Slots];
        _released = new int[arena.Slots];
        _references = new ushort[arena.Slots];
        _freeCount = arena.Slots;
        for (int i = 0; i < _free.Length; i++)
        {
            _free[i] = arena.Slots - 1 - i; // low slots first: they stay warm
        }
    }

    /// <summary>The storage.</summary>
    public KvArena Arena { get; }

    /// <summary>Slots in use, shared ones counted once.</summary>
    public int Used
    {
        get
        {
            lock (_lock)
            {
                return Arena.Slots - _freeCount - _releasedCount;
            }
        }
    }

    /// <summary>Slots in all.</summary>
    public int Capacity => Arena.Slots;

    /// <summary>Fills <paramref name="slots"/> with free slots, or returns false and takes none.</summary>
    public bool TryRent(Span<int> slots)
    {
        lock (_lock)
        {
            if (_freeCount < slots.Length)
            {
                return false;
            }

            for (int i = 0; i < slots.Length; i++)
            {
                int slot = _free[--_freeCount];
                _references[slot] = 1;
                slots[i] = slot;
            }

            return true;
        }
    }

    /// <summary>Adds a reference to each slot; false (and no change) when one is shared too often already.</summary>
    public bool TryShare(ReadOnlySpan<int> slots)
    {
        lock (_lock)
        {
            foreach (int slot in slots)
            {
                if (_references[slot] == ushort.MaxValue)
                {
                    return false;
                }
            }

            foreach (int slot in slots)
            {
                _references[slot]++;
            }

            return true;
        }
    }

    /// <summary>Gives up one reference to each slot.</summary>
    public void Release(ReadOnlySpan<int> slots)
    {
        lock (_lock)
        {
            foreach (int slot in slots)
            {
                if (--_references[slot] == 0)
                {
                    _released[_releasedCount++] = slot;
                }
            }
        }
    }

    /// <summary>Makes released slots available again. Call between forward passes.</summary>
    public void Reclaim()
    {
        lock (_lock)
        {
            while (_releasedCount > 0)
            {
                _free[_freeCount++] = _released[--_releasedCount];
            }
        }
    }

    /// <inheritdoc />
    public void Dispose() => Arena.Dispose();
}
