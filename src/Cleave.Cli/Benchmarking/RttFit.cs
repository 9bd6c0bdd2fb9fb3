using Cleave.Cli.Planning;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Leave-one-out check of <see cref="ThroughputModel"/>: for each round-trip time it is fitted to the others, and asked for the speed at the one
/// left out, of which it is told nothing but the round-trip time.
/// </summary>
/// <param name="Decoder">Decoder.</param>
/// <param name="Model">Fitted to all.</param>
/// <param name="MeanErrorPercent">Mean of |predicted - measured| / measured over the points left out, in tokens per second.</param>
/// <param name="MaxErrorPercent">The largest.</param>
internal sealed record RttFit(string Decoder, ThroughputModel Model, double MeanErrorPercent, double MaxErrorPercent)
{
    /// <summary>One fit for each decoder measured at four or more round-trip times over one bandwidth.</summary>
    public static IReadOnlyList<RttFit> Of(IReadOnlyList<BenchRun> runs) =>
    [
        .. from run in runs
           where run is { Kind: "all", UpMbit: 100, TokensPerSecond: > 0, NgramSize: 0 }
           group run by run.Decoder into decoder
           let points = decoder.DistinctBy(static r => r.RttMs)
               .Select(static r => new ThroughputPoint(r.MeasuredRttMs, r.TokensPerSecond, r.TokensPerRoundTrip)).ToArray()
           where points.Length >= 4
           select Check(decoder.Key, points),
    ];

    /// <summary>Fits, and predicts every point from the others.</summary>
    internal static RttFit Check(string decoder, IReadOnlyList<ThroughputPoint> points)
    {
        double[] errors =
        [
            .. points.Select((point, left) =>
            {
                ThroughputModel others = ThroughputModel.Fit([.. points.Where((_, i) => i != left)]);
                return 100 * Math.Abs((others.TokensPerSecond(point.RttMs) / point.TokensPerSecond) - 1);
            }),
        ];
        return new RttFit(decoder, ThroughputModel.Fit([.. points]), errors.Average(), errors.Max());
    }
}
