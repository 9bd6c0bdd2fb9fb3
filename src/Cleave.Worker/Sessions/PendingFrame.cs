using Cleave.Engine;

namespace Cleave.Worker.Sessions;

/// <summary>A frame whose shape and numbers were checked, waiting for the compute loop.</summary>
internal abstract record PendingFrame(ulong Seq, long ReceivedAt)
{
    /// <summary>What it costs in the queue's sense of fairness.</summary>
    public virtual int Cost => 1;

    /// <summary>Rows it adds to a pass.</summary>
    public virtual int RowCount => 0;
}

/// <param name="Seq">The frame's seq.</param>
/// <param name="ReceivedAt">Timestamp for the queue time.</param>
/// <param name="Epoch">Echoed.</param>
/// <param name="Keep">Rows to commit.</param>
/// <param name="Rows">Rows to append.</param>
/// <param name="Returned">Which of them to send back.</param>
/// <param name="Hidden">[rows, hiddenSize].</param>
internal sealed record PendingStep(
    ulong Seq, long ReceivedAt, uint Epoch, ulong[] Keep, TreeRow[] Rows, bool[] Returned, float[] Hidden) : PendingFrame(Seq, ReceivedAt)
{
    public override int Cost => Math.Max(1, Rows.Length);

    public override int RowCount => Rows.Length;
}

internal sealed record PendingTruncate(ulong Seq, long ReceivedAt, int Length) : PendingFrame(Seq, ReceivedAt);

internal sealed record PendingFork(ulong Seq, long ReceivedAt) : PendingFrame(Seq, ReceivedAt);
