using Cleave.Inference;

namespace Cleave.Cli.Planning;

/// <summary>Predictions from a measurement.</summary>
internal static class Planner
{
    private const int Context = 4096;
    private static readonly Cut[] s_cuts = [new(2, 2), new(4, 4), new(8, 8)];
    private static readonly double[] s_rtts = [20, 40, 80, 120, 150, 200];

    /// <summary>Everything the command prints.</summary>
    /// <param name="link">The measurement.</param>
    /// <param name="model">The user's model.</param>
    /// <param name="cut">Its cut.</param>
    /// <param name="wireBytesPerNumber">Bytes per activation on the wire.</param>
    /// <param name="decoders">Decoders at hand.</param>
    /// <param name="workerGigabytesPerSecond">Memory bandwidth assumed for a rented worker.</param>
    /// <param name="localGigabytesPerSecond">Memory bandwidth assumed for the trusted side.</param>
    public static PlanReport Plan(
        LinkMeasurement link, ModelShape model, Cut cut, int wireBytesPerNumber, IReadOnlyCollection<string> decoders,
        double workerGigabytesPerSecond, double localGigabytesPerSecond)
    {
        DecoderExpectation[] known = [.. DecoderExpectation.All.Where(e => decoders.Contains(e.Decoder))];
        bool auto = decoders.Contains("auto");
        double bandwidth = link.BandwidthBitsPerSecond(model.Hidden * wireBytesPerNumber);
        List<Prediction> here = [];
        foreach (double rtt in s_rtts.Prepend(link.RttMs))
        {
            here.AddRange(Predict(known, auto, model, cut, rtt, link.FixedMs, link.RowMs));
        }

        List<Prediction> elsewhere = [];
        foreach (ModelShape shape in ModelShape.Known)
        {
            foreach (Cut other in s_cuts)
            {
                double workerMs = (shape.Layers - other.Head - other.Tail) * shape.LayerBytes / (workerGigabytesPerSecond * 1e6);
                double localMs = shape.LocalStepBytes(other.Head, other.Tail) / (localGigabytesPerSecond * 1e6);
                double rowMs = double.IsInfinity(bandwidth) ? 0.02 : 2 * 8 * shape.Hidden * 2 * 1000 / bandwidth;
                foreach (double rtt in s_rtts)
                {
                    elsewhere.AddRange(Predict(known, auto, shape, other, rtt, workerMs + localMs + 1, rowMs));
                }
            }
        }

        Prediction best = here.Take(known.Length).MaxBy(static p => p.TokensPerSecond)!;
        return new PlanReport
        {
            ConnectMs = link.ConnectMs,
            RttMs = link.RttMs,
            JitterMs = link.JitterMs,
            FixedMs = link.FixedMs,
            RowMs = link.RowMs,
            ComputeRowMs = link.ComputeRowMs,
            BandwidthMbit = double.IsInfinity(bandwidth) ? null : bandwidth / 1e6,
            LooksRelayed = link.LooksRelayed,
            CrossValidationPercent = link.CrossValidationPercent(),
            Here = here,
            Elsewhere = elsewhere,
            Recommendation = new Recommendation(
                cut.Head, cut.Tail, auto ? "auto" : best.Decoder, model.LocalMemoryBytes(cut.Head, cut.Tail, Context) / 1e9,
                auto
                    ? $"auto picks among the others at every step; {best.Decoder} alone is predicted best here. More local layers cost memory and time and are no protection by themselves"
                    : $"{best.Decoder} is predicted best at {best.RttMs:F0} ms. More local layers cost memory and time and are no protection by themselves"),
            Assumptions =
            [
                .. known.Select(static e => FormattableString.Invariant($"{e.Decoder}: {e.TokensPerTrip} tokens and {e.Rows} rows per round trip ({e.Source})")),
                "auto: the best of the others, which it chooses among at every step; the bundled model with its draft does far better (docs/PERFORMANCE.md)",
                FormattableString.Invariant($"other models: 16-bit weights read once per step at {workerGigabytesPerSecond:F0} GB/s by the worker and {localGigabytesPerSecond:F0} GB/s here, 16 bits on the wire, this link's bandwidth"),
                FormattableString.Invariant($"memory: both ends' layers, embedding and LM head apart, KV cache in 16 bits for {Context} tokens"),
            ],
        };
    }

    /// <summary>Every decoder at one round trip; auto chooses among them at every step, so it is given the best one's figure.</summary>
    private static List<Prediction> Predict(
        IReadOnlyList<DecoderExpectation> known, bool auto, ModelShape shape, Cut cut, double rttMs, double fixedMs, double rowMs)
    {
        double gigabytes = shape.LocalMemoryBytes(cut.Head, cut.Tail, Context) / 1e9;
        List<Prediction> predictions =
        [
            .. from expected in known
               let speed = ThroughputModel.Fixed(expected, fixedMs, rowMs)
               select new Prediction(shape.Name, $"{cut.Head}+{cut.Tail}", expected.Decoder, rttMs, speed.TripMs(rttMs), speed.TokensPerSecond(rttMs), gigabytes),
        ];
        if (auto)
        {
            predictions.Add(predictions.MaxBy(static p => p.TokensPerSecond)! with { Decoder = "auto" });
        }

        return predictions;
    }
}
