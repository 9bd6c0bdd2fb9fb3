using Cleave.Inference.Sessions;

namespace Cleave.Cli.Reports;

/// <summary>Sums of time in milliseconds.</summary>
internal sealed record TimingReport(double Network, double Head, double Middle, double Tail, double Draft, double Codec)
{
    /// <summary>A session's timings, rounded to microseconds.</summary>
    public static TimingReport From(SessionTimings timings) => new(
        Math.Round(timings.NetworkMs, 3), Math.Round(timings.HeadMs, 3), Math.Round(timings.MiddleMs, 3),
        Math.Round(timings.TailMs, 3), Math.Round(timings.DraftMs, 3), Math.Round(timings.CodecMs, 3));

    /// <summary>Each part divided, for a mean.</summary>
    public TimingReport Over(int count) => new(Network / count, Head / count, Middle / count, Tail / count, Draft / count, Codec / count);

    /// <summary>Several sessions' timings together.</summary>
    public static TimingReport Sum(IEnumerable<SessionTimings> timings)
    {
        var sum = new SessionTimings();
        foreach (SessionTimings one in timings)
        {
            sum.NetworkMs += one.NetworkMs;
            sum.HeadMs += one.HeadMs;
            sum.MiddleMs += one.MiddleMs;
            sum.TailMs += one.TailMs;
            sum.DraftMs += one.DraftMs;
            sum.CodecMs += one.CodecMs;
        }

        return From(sum);
    }
}
