using ScottPlot;

namespace Cleave.Cli.Benchmarking;

/// <summary>A report's pictures, each as PNG and SVG; only those its suite has figures for.</summary>
internal static class BenchPlots
{
    private const int Width = 900;
    private const int Height = 540;

    /// <summary>Writes them into <paramref name="directory"/>.</summary>
    public static void Write(BenchReport report, string directory)
    {
        BenchRun[] runs = [.. report.Runs.Where(static r => r.NgramSize == 0)];
        Save(ThroughputByRtt(runs), directory, "throughput-rtt");
        Save(AcceptanceByKind(runs), directory, "acceptance-kind");
        Save(TimeByDecoder(runs), directory, "time-decomposition");
        Save(TokensPerTrip(runs), directory, "tokens-per-round-trip");
    }

    private static Plot? ThroughputByRtt(BenchRun[] runs)
    {
        var lines = runs.Where(static r => r is { Kind: "all", UpMbit: 100 }).GroupBy(static r => r.Decoder).Where(static g => g.Count() > 1).ToList();
        if (lines.Count == 0)
        {
            return null;
        }

        Plot plot = Titled("Throughput against round-trip time", "round-trip time (ms)", "tokens per second");
        foreach (var line in lines)
        {
            BenchRun[] points = [.. line.OrderBy(static r => r.MeasuredRttMs)];
            plot.Add.Scatter(points.Select(static r => r.MeasuredRttMs).ToArray(), points.Select(static r => r.TokensPerSecond).ToArray()).LegendText = line.Key;
        }

        plot.ShowLegend(Alignment.UpperRight);
        plot.Axes.SetLimitsY(0, lines.SelectMany(static l => l).Max(static r => r.TokensPerSecond) * 1.05);
        return plot;
    }

    private static Plot? AcceptanceByKind(BenchRun[] runs)
    {
        string[] kinds = [.. BenchSuite.Kinds.Where(kind => runs.Any(r => r.Kind == kind))];
        string[] decoders = [.. runs.Where(r => kinds.Contains(r.Kind) && r.Decoder != "sequential").Select(static r => r.Decoder).Distinct()];
        if (kinds.Length == 0 || decoders.Length == 0)
        {
            return null;
        }

        Plot plot = Titled("Tokens per round trip by kind of text", "", "tokens per round trip");
        for (int d = 0; d < decoders.Length; d++)
        {
            List<Bar> bars = [];
            for (int k = 0; k < kinds.Length; k++)
            {
                if (runs.FirstOrDefault(r => r.Kind == kinds[k] && r.Decoder == decoders[d]) is { } run)
                {
                    bars.Add(new Bar { Position = (k * (decoders.Length + 1)) + d, Value = run.TokensPerRoundTrip, FillColor = plot.Add.Palette.GetColor(d) });
                }
            }

            plot.Add.Bars(bars).LegendText = decoders[d];
        }

        plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericManual(
            [.. kinds.Select((kind, k) => new Tick((k * (decoders.Length + 1)) + ((decoders.Length - 1) / 2.0), kind))]);
        plot.ShowLegend(Alignment.UpperLeft);
        plot.Axes.Margins(bottom: 0);
        return plot;
    }

    private static Plot? TimeByDecoder(BenchRun[] runs)
    {
        var decoders = runs.Where(static r => r.RttMs == 80).GroupBy(static r => r.Decoder).ToList();
        if (decoders.Count == 0)
        {
            return null;
        }

        (string Name, Func<BenchRun, double> Part)[] parts =
        [
            ("network", static r => r.TimingMs.Network), ("head", static r => r.TimingMs.Head), ("middle", static r => r.TimingMs.Middle),
            ("tail", static r => r.TimingMs.Tail), ("draft", static r => r.TimingMs.Draft), ("codec", static r => r.TimingMs.Codec),
        ];
        Plot plot = Titled("Where a token's time goes at 80 ms", "", "ms per token, prompts included");
        var bases = new double[decoders.Count];
        for (int p = 0; p < parts.Length; p++)
        {
            List<Bar> bars = [];
            for (int d = 0; d < decoders.Count; d++)
            {
                double value = decoders[d].Sum(parts[p].Part) / decoders[d].Sum(static r => r.Tokens);
                bars.Add(new Bar { Position = d, ValueBase = bases[d], Value = bases[d] + value, FillColor = plot.Add.Palette.GetColor(p) });
                bases[d] += value;
            }

            plot.Add.Bars(bars).LegendText = parts[p].Name;
        }

        plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericManual([.. decoders.Select((d, i) => new Tick(i, d.Key))]);
        plot.ShowLegend(Alignment.UpperRight);
        plot.Axes.Margins(bottom: 0);
        return plot;
    }

    private static Plot? TokensPerTrip(BenchRun[] runs)
    {
        var decoders = runs.Where(static r => r.RttMs == 80 && r.Decoder != "sequential").GroupBy(static r => r.Decoder).ToList();
        if (decoders.Count == 0)
        {
            return null;
        }

        Plot plot = Titled("Tokens per round trip: share of round trips that brought at least this many", "tokens", "share of round trips");
        foreach (var decoder in decoders)
        {
            int[] steps = [.. decoder.SelectMany(static r => r.StepTokens)];
            int most = Math.Min(40, steps.DefaultIfEmpty(1).Max());
            double[] tokens = [.. Enumerable.Range(1, most).Select(static n => (double)n)];
            plot.Add.Scatter(tokens, [.. tokens.Select(n => (double)steps.Count(s => s >= n) / steps.Length)]).LegendText = decoder.Key;
        }

        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static Plot Titled(string title, string x, string y)
    {
        var plot = new Plot();
        plot.Title(title);
        plot.XLabel(x);
        plot.YLabel(y);
        return plot;
    }

    private static void Save(Plot? plot, string directory, string name)
    {
        plot?.SavePng(Path.Combine(directory, name + ".png"), Width, Height);
        plot?.SaveSvg(Path.Combine(directory, name + ".svg"), Width, Height);
        plot?.Dispose();
    }
}
