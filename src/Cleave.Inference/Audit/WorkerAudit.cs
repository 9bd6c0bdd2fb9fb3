using Cleave.Inference.Sessions;
using Cleave.Protocol.Codec;

namespace Cleave.Inference.Audit;

/// <summary>
/// Replays the beginning of a conversation through the middle layers on this machine and compares what they give with what the worker
/// returned. Meant for idle time: it costs what the worker computed. With equal kernel fingerprints every bit must agree; otherwise rows
/// may differ by rounding, up to a tolerance.
/// </summary>
public static class WorkerAudit
{
    /// <summary>
    /// Relative distance an honest worker with other kernels may show: several times the largest seen between orders of summation, over ten
    /// layers; smaller alterations go unseen (docs/PRIVACY-STUDY.md has both figures).
    /// </summary>
    public const double CrossKernelTolerance = 1e-4;

    /// <summary>Replays the first <paramref name="steps"/> answered steps of a log.</summary>
    /// <param name="reference">Fresh middle layers on this machine, with room for the conversation; left with its rows.</param>
    /// <param name="log">The conversation.</param>
    /// <param name="workerFingerprint">Kernel fingerprint the worker reported.</param>
    /// <param name="steps">Steps to replay: a random number of them, so that no prefix is safe to alter.</param>
    /// <param name="tolerance">Used when fingerprints differ.</param>
    /// <param name="cancellationToken">Stops between steps.</param>
    public static async Task<AuditReport> ReplayAsync(
        IMiddle reference, AuditLog log, string workerFingerprint, int steps = int.MaxValue, double tolerance = CrossKernelTolerance,
        CancellationToken cancellationToken = default)
    {
        bool isBitExact = string.Equals(reference.KernelFingerprint, workerFingerprint, StringComparison.Ordinal);
        double allowed = isBitExact ? 0 : tolerance;
        double largest = 0;
        int? firstAltered = null;
        int replayed = 0;
        int rows = 0;
        foreach (AuditLog.Entry entry in log.Entries)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (entry.TruncatedTo >= 0)
            {
                await reference.TruncateAsync(entry.Keep, entry.TruncatedTo, cancellationToken);
                continue;
            }

            if (entry.Received is null || replayed == steps)
            {
                break;
            }

            // 1. What the worker decoded, through the same layers.
            float[] sent = Rounded(log, entry.Sent);
            await reference.SubmitAsync(entry.Keep, entry.Rows, sent, cancellationToken);
            MiddleReply reply = await reference.ReceiveAsync(cancellationToken);

            // 2. What we would have decoded, against what we did. Rows left out are an alteration too.
            double error = reply.RowIds.Span.SequenceEqual(entry.ReceivedIds)
                ? LargestError(log.HiddenSize, Rounded(log, reply.Hidden.Span), entry.Received)
                : double.PositiveInfinity;
            largest = Math.Max(largest, error);
            firstAltered ??= error > allowed ? replayed : null;
            rows += entry.Rows.Length;
            replayed++;
        }

        return new AuditReport(replayed, rows, isBitExact, largest, allowed, firstAltered);
    }

    /// <summary>Probability that auditing each of <paramref name="altered"/> altered units with probability <paramref name="share"/> finds one: 1 - (1 - p)^m.</summary>
    public static double DetectionProbability(double share, int altered) => 1 - Math.Pow(1 - share, altered);

    private static float[] Rounded(AuditLog log, ReadOnlySpan<float> hidden)
    {
        var decoded = new float[hidden.Length];
        WireRounding.Apply(log.Wire, hidden, log.HiddenSize, decoded);
        return decoded;
    }

    private static double LargestError(int width, ReadOnlySpan<float> right, ReadOnlySpan<float> returned)
    {
        double largest = 0;
        for (int start = 0; start < right.Length; start += width)
        {
            ReadOnlySpan<float> a = right.Slice(start, width);
            ReadOnlySpan<float> b = returned.Slice(start, width);
            largest = Math.Max(largest, a.SequenceEqual(b) ? 0 : Math.Max(Distance(a, b), double.Epsilon));
        }

        return largest;
    }

    private static double Distance(ReadOnlySpan<float> right, ReadOnlySpan<float> returned)
    {
        double difference = 0;
        double squares = 0;
        for (int i = 0; i < right.Length; i++)
        {
            double d = (double)right[i] - returned[i];
            difference += d * d;
            squares += (double)right[i] * right[i];
        }

        return Math.Sqrt(difference / Math.Max(squares, 1e-30));
    }
}
