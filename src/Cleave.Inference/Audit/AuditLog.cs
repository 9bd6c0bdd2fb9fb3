using Cleave.Engine;
using Cleave.Protocol;

namespace Cleave.Inference.Audit;

/// <summary>
/// Both boundary tensors of a conversation, as they crossed the wire, and the operations between: what an audit replays. Held in
/// memory, bounded; past the bound nothing more is noted and the audit covers the conversation's beginning.
/// </summary>
/// <param name="wire">How activations were encoded.</param>
/// <param name="hiddenSize">Numbers per row.</param>
/// <param name="maxBytes">Most bytes of activations kept.</param>
public sealed class AuditLog(WireType wire, int hiddenSize, long maxBytes = 256 << 20)
{
    private readonly List<Entry> _entries = [];

    /// <summary>How activations were encoded.</summary>
    public WireType Wire => wire;

    /// <summary>Numbers per row.</summary>
    public int HiddenSize => hiddenSize;

    /// <summary>Bytes of activations kept.</summary>
    public long Bytes { get; private set; }

    /// <summary>True when the conversation went on past the bound.</summary>
    public bool IsFull { get; private set; }

    /// <summary>Answered steps noted.</summary>
    public int Steps { get; private set; }

    /// <summary>Rows of those steps: the conversation never held more at once.</summary>
    public int Rows { get; private set; }

    internal IReadOnlyList<Entry> Entries => _entries;

    internal Entry? Step(ReadOnlySpan<ulong> keep, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<float> sent)
    {
        long bytes = 2L * sizeof(float) * sent.Length;
        if (IsFull || Bytes + bytes > maxBytes)
        {
            IsFull = true;
            return null;
        }

        Bytes += bytes;
        var entry = new Entry(keep.ToArray(), rows.ToArray(), sent.ToArray(), TruncatedTo: -1);
        _entries.Add(entry);
        return entry;
    }

    internal void Answered(Entry entry, ReadOnlySpan<ulong> rowIds, ReadOnlySpan<float> received)
    {
        entry.ReceivedIds = rowIds.ToArray();
        entry.Received = received.ToArray();
        Steps++;
        Rows += entry.Rows.Length;
    }

    internal void Truncated(ReadOnlySpan<ulong> keep, int length)
    {
        if (!IsFull)
        {
            _entries.Add(new Entry(keep.ToArray(), [], [], length));
        }
    }

    /// <summary>A step, or a truncation.</summary>
    internal sealed record Entry(ulong[] Keep, TreeRow[] Rows, float[] Sent, int TruncatedTo)
    {
        /// <summary>Rows that came back; empty while unanswered.</summary>
        public ulong[] ReceivedIds { get; set; } = [];

        /// <summary>What came back, decoded from the wire; null while unanswered.</summary>
        public float[]? Received { get; set; }
    }
}
