using Cleave.Protocol.Frames;
using Cleave.Worker.Chaining;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>What becomes of a step's rows once they are computed: they go back, or on to the next worker.</summary>
internal static class StepAnswers
{
    /// <summary>Returned rows to whoever sent the step.</summary>
    /// <param name="step">The step.</param>
    /// <param name="dropped">Rows that were not computed.</param>
    /// <param name="payload">Those returned, encoded.</param>
    /// <param name="queueMicros">Time it waited.</param>
    /// <param name="computeMicros">Time it was computed.</param>
    public static RowsFrame Rows(PendingStep step, bool[] dropped, byte[] payload, uint queueMicros, uint computeMicros)
    {
        var ids = new List<ulong>(step.Rows.Length);
        for (int i = 0; i < step.Rows.Length; i++)
        {
            if (step.Returned[i] && !dropped[i])
            {
                ids.Add(step.Rows[i].Id);
            }
        }

        return new RowsFrame(step.Seq, step.Epoch, ids.ToArray(), Bitmap(dropped), queueMicros, computeMicros, payload);
    }

    /// <summary>All rows to the next worker, which has the same operations to apply; rows dropped here are never known there.</summary>
    /// <inheritdoc cref="Rows"/>
    /// <param name="step">The step.</param>
    /// <param name="dropped">Rows that were not computed.</param>
    /// <param name="payload">The others, encoded.</param>
    /// <param name="queueMicros">Time it waited.</param>
    /// <param name="computeMicros">Time it was computed.</param>
    /// <param name="at">Now.</param>
    public static RelayedFrame Onward(PendingStep step, bool[] dropped, byte[] payload, uint queueMicros, uint computeMicros, long at)
    {
        var rows = new List<StepRow>(step.Rows.Length);
        int returned = 0;
        for (int i = 0; i < step.Rows.Length; i++)
        {
            if (dropped[i])
            {
                continue;
            }

            RowFlags flags = (step.Returned[i] ? RowFlags.Return : RowFlags.None) | (i >= step.Rows.Length - step.Dummies ? RowFlags.Dummy : RowFlags.None);
            rows.Add(new StepRow(step.Rows[i].Id, step.Rows[i].ParentId, flags));
            returned += step.Returned[i] ? 1 : 0;
        }

        return new RelayedFrame(
            step, new StepFrame(step.Seq, step.Epoch, 0, step.Keep, rows.ToArray(), payload), returned, Bitmap(dropped), queueMicros, computeMicros, at);
    }

    private static byte[] Bitmap(bool[] dropped)
    {
        if (!dropped.AsSpan().Contains(true))
        {
            return [];
        }

        var bitmap = new byte[(dropped.Length + 7) / 8];
        for (int i = 0; i < dropped.Length; i++)
        {
            bitmap[i / 8] |= (byte)((dropped[i] ? 1 : 0) << (i % 8));
        }

        return bitmap;
    }
}
