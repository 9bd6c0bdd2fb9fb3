namespace Cleave.Cli.Planning;

/// <summary>
/// A decoder's speed as a function of the round-trip time, in <c>bench</c> and <c>plan</c> alike:
/// <list type="number">
/// <item>a trip takes <see cref="FixedMs"/> + <see cref="Slope"/> · RTT: the round trip, computing, and the time of its rows, of which
/// a longer round trip carries more under the node rule (a slope above 1);</item>
/// <item>it brings <see cref="Tokens"/> + <see cref="Growth"/> · ln(trip): the rule's threshold falls with the trip's length, and every halving of
/// it brings about as many tokens more. A decoder of fixed shape has no growth.</item>
/// </list>
/// </summary>
internal sealed record ThroughputModel(double FixedMs, double Slope, double Tokens, double Growth)
{
    /// <summary>A decoder of which only a fixed shape is known, on a measured link.</summary>
    public static ThroughputModel Fixed(DecoderExpectation expected, double fixedMs, double rowMs) =>
        new(fixedMs + (expected.Rows * rowMs), 1, expected.TokensPerTrip, 0);

    /// <summary>The model that fits measurements best: each part is a line by least squares, weighted so that relative errors count.</summary>
    public static ThroughputModel Fit(IReadOnlyCollection<ThroughputPoint> points)
    {
        (double fixedMs, double slope) = Line(points.Select(static p => (p.RttMs, p.TripMs)));
        (double tokens, double growth) = Line(points.Select(p => (Math.Log(fixedMs + (slope * p.RttMs)), p.TokensPerTrip)));
        return new ThroughputModel(fixedMs, slope, tokens, growth);
    }

    /// <summary>Predicted time of a round trip that something waits for.</summary>
    public double TripMs(double rttMs) => Math.Max(1e-3, FixedMs + (Slope * rttMs));

    /// <summary>Predicted tokens of one.</summary>
    public double TokensPerTrip(double rttMs) => Math.Max(1, Tokens + (Growth * Math.Log(TripMs(rttMs))));

    /// <summary>Predicted speed.</summary>
    public double TokensPerSecond(double rttMs) => 1000 * TokensPerTrip(rttMs) / TripMs(rttMs);

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
