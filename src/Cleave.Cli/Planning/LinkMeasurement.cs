namespace Cleave.Cli.Planning;

/// <summary>One probing step.</summary>
internal sealed record StepSample(int Rows, double Milliseconds, double NetworkMs, double HeadMs, double MiddleMs, double TailMs);

/// <summary>What the probe found, and the model fitted to it: step = RTT + fixed + rows · (compute + bytes / bandwidth).</summary>
/// <param name="ConnectMs">Fastest TCP connect, 0 when not measured.</param>
/// <param name="FastestMs">Fastest ping through the worker's protocol.</param>
/// <param name="RttMs">Median ping.</param>
/// <param name="JitterMs">95th percentile of pings less the median.</param>
/// <param name="Steps">Probing steps.</param>
internal sealed record LinkMeasurement(double ConnectMs, double FastestMs, double RttMs, double JitterMs, IReadOnlyList<StepSample> Steps)
{
    /// <summary>Step time of no rows, less the round trip.</summary>
    public double FixedMs => Line(Steps, static s => s.Milliseconds).Intercept - RttMs;

    /// <summary>Time of one more row, all in.</summary>
    public double RowMs => Line(Steps, static s => s.Milliseconds).Slope;

    /// <summary>Time of one more row on the network, both ways.</summary>
    public double NetworkRowMs => Math.Max(0, Line(Steps, static s => s.NetworkMs).Slope);

    /// <summary>Compute of one more row, both machines.</summary>
    public double ComputeRowMs => Math.Max(0, RowMs - NetworkRowMs);

    /// <summary>
    /// True when even the fastest ping takes far longer than a TCP connect: something between answers for the worker. Floors are compared,
    /// since a busy machine delays pings more than the kernel's handshake.
    /// </summary>
    public bool LooksRelayed => ConnectMs > 0 && FastestMs > (1.5 * ConnectMs) + 5;

    /// <summary>Mean leave-one-out error of the model over row counts, in percent of the step time.</summary>
    public double CrossValidationPercent()
    {
        int[] counts = [.. Steps.Select(static s => s.Rows).Distinct()];
        double sum = 0;
        foreach (int left in counts)
        {
            (double intercept, double slope) = Line([.. Steps.Where(s => s.Rows != left)], static s => s.Milliseconds);
            sum += Math.Abs(((intercept + (slope * left)) / Median(Steps.Where(s => s.Rows == left).Select(static s => s.Milliseconds))) - 1);
        }

        return 100 * sum / counts.Length;
    }

    /// <summary>Bits per second both ways together that the rows saw; infinity when the link is faster than can be measured.</summary>
    public double BandwidthBitsPerSecond(int rowBytes) => NetworkRowMs < 0.01 ? double.PositiveInfinity : 2 * 8 * rowBytes * 1000 / NetworkRowMs;

    /// <summary>Least squares over the medians at each row count.</summary>
    private static (double Intercept, double Slope) Line(IReadOnlyList<StepSample> steps, Func<StepSample, double> value)
    {
        (double X, double Y)[] points = [.. steps.GroupBy(static s => s.Rows).Select(g => ((double)g.Key, Median(g.Select(value))))];
        double meanX = points.Average(static p => p.X);
        double meanY = points.Average(static p => p.Y);
        double slope = points.Sum(p => (p.X - meanX) * (p.Y - meanY)) / points.Sum(p => (p.X - meanX) * (p.X - meanX));
        return (meanY - (slope * meanX), slope);
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
