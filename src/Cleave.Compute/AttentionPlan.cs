using System.Runtime.InteropServices;

namespace Cleave.Compute;

/// <summary>
/// Which arena slots each row of a step reads, in position order. Row r attends to positions 0..Position(r): the first
/// PrefixLength(r) of them through a slot table shared by all rows of its session, the rest (its live ancestors and
/// itself) through its own tail. Masks are never materialised. A plan is refilled for every step and allocates nothing
/// once it has grown to the step's size.
/// </summary>
public sealed class AttentionPlan
{
    private readonly List<AttentionRow> _rows = [];
    private readonly List<int> _tables = [];
    private readonly List<int> _tails = [];

    /// <summary>One entry per row.</summary>
    public ReadOnlySpan<AttentionRow> Rows => CollectionsMarshal.AsSpan(_rows);

    /// <summary>Slot tables, one after another: element TableOffset + p holds the slot of committed position p.</summary>
    public ReadOnlySpan<int> Tables => CollectionsMarshal.AsSpan(_tables);

    /// <summary>Tails, one after another: element TailOffset + i holds the slot of position PrefixLength + i.</summary>
    public ReadOnlySpan<int> Tails => CollectionsMarshal.AsSpan(_tails);

    /// <summary>Longest history of any row, in positions.</summary>
    public int MaxLength { get; private set; }

    /// <summary>Changes with the contents, so that a device can keep its copy of a plan it has seen.</summary>
    public long Revision { get; private set; }

    /// <summary>Empties the plan and keeps its storage.</summary>
    public void Clear()
    {
        _rows.Clear();
        _tables.Clear();
        _tails.Clear();
        MaxLength = 0;
        Revision++;
    }

    /// <summary>Adds a session's slot table (slots of committed positions 0, 1, ...) and returns its offset.</summary>
    public int AddTable(ReadOnlySpan<int> slots)
    {
        Revision++;
        int offset = _tables.Count;
        _tables.AddRange(slots);
        return offset;
    }

    /// <summary>Adds a row. <paramref name="tail"/> holds the slots of positions prefixLength..position, its own last.</summary>
    public void AddRow(int tableOffset, int prefixLength, ReadOnlySpan<int> tail)
    {
        ArgumentOutOfRangeException.ThrowIfZero(tail.Length);
        Revision++;
        int position = prefixLength + tail.Length - 1;
        _rows.Add(new AttentionRow(position, tail[^1], tableOffset, prefixLength, _tails.Count));
        _tails.AddRange(tail);
        MaxLength = Math.Max(MaxLength, position + 1);
    }
}
