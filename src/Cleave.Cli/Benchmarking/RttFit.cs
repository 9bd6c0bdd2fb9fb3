namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Leave-one-out check of the model ms per token = (RTT + fixed) / tokens per round trip: for each round-trip time, a line is
/// fitted to the others and asked for the one left out.
/// </summary>
/// <param name="Decoder">Decoder.</param>
/// <param name="FixedMs">Step time less the round trip, by the fit over all.</param>
/// <param name="TokensPerRoundTrip">By the fit over all: one over its slope.</param>
/// <param name="MeanErrorPercent">Mean of |predicted - measured| / measured over the points left out, in tokens per second.</param>
/// <param name="MaxErrorPercent">The largest.</param>
internal sealed record RttFit(string Decoder, double FixedMs, double TokensPerRoundTrip, double MeanErrorPercent, double MaxErrorPercent)
{
    /// <summary>One fit for each decoder measured at three or more round-trip times over one bandwidth.</summary>
    public static IReadOnlyList<RttFit> Of(IReadOnlyList<BenchRun> runs) =>
    [
        .. from run in runs
           where run is { Kind: "all", UpMbit: 100, TokensPerSecond: > 0, NgramSize: 0 }
           group run by run.Decoder into decoder
           let points = decoder.DistinctBy(static r => r.RttMs).Select(static r => (X: r.MeasuredRttMs, Y: 1000 / r.TokensPerSecond)).ToArray()
           where points.Length >= 3
           select Fit(decoder.Key, points),
    ];

    private static RttFit Fit(string decoder, (double X, double Y)[] points)
    {
        var errors = new double[points.Length];
        for (int left = 0; left < points.Length; left++)
        {
            (double a, double b) = Line(points.Where((_, i) => i != left));
            errors[left] = 100 * Math.Abs((points[left].Y / (a + (b * points[left].X))) - 1);
        }

        (double intercept, double slope) = Line(points);
        return new RttFit(decoder, intercept / slope, 1 / slope, errors.Average(), errors.Max());
    }

    /// <summary>Least squares weighted by 1/y², since errors are relative.</summary>
    private static (double Intercept, double Slope) Line(IEnumerable<(double X, double Y)> points)
    {
        double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
        foreach ((double x, double y) in points)
        {
            double weight = 1 / (y * y);
            w += weight;
            wx += weight * x;
            wy += weight * y;
            wxx += weight * x * x;
            wxy += weight * x * y;
        }

        double slope = ((w * wxy) - (wx * wy)) / ((w * wxx) - (wx * wx));
        return ((wy - (slope * wx)) / w, slope);
    }
}
