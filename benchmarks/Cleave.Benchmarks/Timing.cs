using System.Diagnostics;

namespace Cleave.Benchmarks;

/// <summary>
/// Medians of repeated runs. With CLEAVE_BENCH_CPU=1 and one thread, the least processor time instead: on a machine that
/// others use, it leaves their turns out.
/// </summary>
internal static class Timing
{
    private static readonly bool ProcessorTime = Environment.GetEnvironmentVariable("CLEAVE_BENCH_CPU") == "1";

    /// <summary>Seconds on the clock in use.</summary>
    public static double Now => ProcessorTime
        ? Environment.CpuUsage.TotalTime.TotalSeconds
        : Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;

    /// <summary>Median seconds of one call, over about <paramref name="budgetSeconds"/> after a warm-up.</summary>
    public static double Median(Action action, double budgetSeconds = 0.4, int leastRuns = 9)
    {
        action();
        action();
        var seconds = new List<double>();
        var total = Stopwatch.StartNew();
        while (seconds.Count < leastRuns || total.Elapsed.TotalSeconds < budgetSeconds)
        {
            double start = Now;
            action();
            seconds.Add(Now - start);
        }

        seconds.Sort();
        return seconds[ProcessorTime ? 0 : seconds.Count / 2];
    }
}
