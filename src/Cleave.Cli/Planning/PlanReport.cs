using Cleave.Inference;

namespace Cleave.Cli.Planning;

/// <summary>What <c>cleave plan --json</c> prints.</summary>
internal sealed record PlanReport
{
    public required double ConnectMs { get; init; }
    public required double RttMs { get; init; }
    public required double JitterMs { get; init; }
    public required double FixedMs { get; init; }
    public required double RowMs { get; init; }
    public required double ComputeRowMs { get; init; }

    /// <summary>Both ways together; null when the link is faster than rows can show.</summary>
    public required double? BandwidthMbit { get; init; }

    public required bool LooksRelayed { get; init; }
    public required double CrossValidationPercent { get; init; }

    /// <summary>This model on this link.</summary>
    public required IReadOnlyList<Prediction> Here { get; init; }

    /// <summary>Other models, links and cuts.</summary>
    public required IReadOnlyList<Prediction> Elsewhere { get; init; }

    public required Recommendation Recommendation { get; init; }

    /// <summary>What the predictions take for granted.</summary>
    public required IReadOnlyList<string> Assumptions { get; init; }
}

/// <summary>A predicted speed.</summary>
internal sealed record Prediction(string Model, string Cut, string Decoder, double RttMs, double StepMs, double TokensPerSecond, double LocalGigabytes);

/// <summary>What to use.</summary>
internal sealed record Recommendation(int Head, int Tail, string Decoder, double LocalGigabytes, string Why);

/// <summary>Predictions from a measurement.</summary>
internal static class Planner
{
    private const int Context = 4096;
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
        double bandwidth = link.BandwidthBitsPerSecond(model.Hidden * wireBytesPerNumber);
        List<Prediction> here = [];
        foreach (double rtt in s_rtts.Prepend(link.RttMs))
        {
            here.AddRange(known.Select(expected =>
            {
                double stepMs = rtt + link.FixedMs + (expected.Rows * link.RowMs);
                return new Prediction(
                    model.Name, $"{cut.Head}+{cut.Tail}", expected.Decoder, rtt, stepMs, 1000 * expected.TokensPerTrip / stepMs,
                    model.LocalMemoryBytes(cut.Head, cut.Tail, Context) / 1e9);
            }));
        }

        List<Prediction> elsewhere = [];
        foreach (ModelShape shape in ModelShape.Known)
        {
            double workerMs = (shape.Layers - 4) * shape.LayerBytes / (workerGigabytesPerSecond * 1e6);
            double localMs = shape.LocalStepBytes(2, 2) / (localGigabytesPerSecond * 1e6);
            double rowMs = double.IsInfinity(bandwidth) ? 0.02 : 2 * 8 * shape.Hidden * 2 * 1000 / bandwidth;
            foreach (double rtt in s_rtts)
            {
                elsewhere.AddRange(known.Select(expected =>
                {
                    double stepMs = rtt + workerMs + localMs + (expected.Rows * rowMs) + 1;
                    return new Prediction(
                        shape.Name, "2+2", expected.Decoder, rtt, stepMs, 1000 * expected.TokensPerTrip / stepMs, shape.LocalMemoryBytes(2, 2, Context) / 1e9);
                }));
            }
        }

        Prediction best = here.Take(known.Length).MaxBy(static p => p.TokensPerSecond)!;
        bool auto = decoders.Contains("auto");
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
                FormattableString.Invariant($"other models: 16-bit weights read once per step at {workerGigabytesPerSecond:F0} GB/s by the worker and {localGigabytesPerSecond:F0} GB/s here, 16 bits on the wire, this link's bandwidth"),
                FormattableString.Invariant($"memory: both ends' layers, embedding and LM head apart, KV cache in 16 bits for {Context} tokens"),
            ],
        };
    }
}
