using System.Globalization;
using System.Text;

namespace Cleave.Cli.Benchmarking;

/// <summary>A report as Markdown: the paper's tables, row for row beside ours, for whatever the suite measured.</summary>
internal static class BenchMarkdown
{
    /// <summary>The text.</summary>
    public static string Write(BenchReport report)
    {
        var text = new StringBuilder();
        BenchEnvironment environment = report.Environment;
        Line(text, $"# cleave bench --suite {report.Suite}");
        Line(text, $"");
        Line(text, $"{environment.Model}, cut {environment.Cut}, wire {environment.Wire}; {environment.Processors} processors, {environment.Machine}, {environment.Runtime}; {environment.At:yyyy-MM-dd HH:mm} UTC.");
        Line(text, $"The paper's columns are a 7B and a 12B model on two GPUs (arXiv 2602.16760); ours is the bundled model unless another is named, whose text is more predictable than a large model's.");
        WriteRuns(text, report.Runs);
        WriteSpeedups(text, report.Runs);
        WriteNgramSweep(text, report.Runs);
        WriteDecomposition(text, report.Runs);
        WriteRttModel(text, report);
        WriteProjections(text, report.RttModel);
        WriteLocalOnly(text, report);
        WriteLadder(text, report.Ladder);
        WriteIdentity(text, report.Identity);
        WriteSessions(text, report.Sessions);
        return text.ToString();
    }

    private static void WriteRuns(StringBuilder text, IReadOnlyList<BenchRun> runs)
    {
        foreach (var link in runs.Where(static r => r.NgramSize == 0).GroupBy(static r => (r.RttMs, r.UpMbit, r.DownMbit)))
        {
            Heading(text, $"{link.Key.RttMs:0} ms, {link.Key.UpMbit:0}/{link.Key.DownMbit:0} Mbit/s", "decoder", "kind", "tok/s", "tokens/trip", "p50", "max", "acceptance", "match", "rows/token", "draft ms/token", "bytes up/token", "down/token", "identical");
            foreach (BenchRun r in link)
            {
                Line(text, $"| {r.Decoder} | {r.Kind} | {r.TokensPerSecond:F1} | {r.TokensPerRoundTrip:F2} | {r.TokensPerRoundTripP50:F0} | {r.TokensPerRoundTripMax} | {r.Acceptance:P0} | {r.MatchRate:P0} | {r.RowsPerToken:F1} | {r.DraftMsPerToken:F2} | {r.BytesUpPerToken:F0} | {r.BytesDownPerToken:F0} | {(r.Identical ? "yes" : "**NO**")} |");
            }
        }
    }

    private static void WriteSpeedups(StringBuilder text, IReadOnlyList<BenchRun> runs)
    {
        var pairs = (from run in runs
                     where run.Decoder != "sequential" && run.NgramSize == 0
                     let baseline = runs.FirstOrDefault(b => b.Decoder == "sequential" && b.Kind == run.Kind && b.RttMs == run.RttMs && b.UpMbit == run.UpMbit)
                     where baseline is { TokensPerSecond: > 0 }
                     select (run, baseline)).ToList();
        if (pairs.Count == 0)
        {
            return;
        }

        Line(text, $"");
        Line(text, $"Times as fast: from first token to last. Whole answers: from sending the prompt to the last token, round trips before the first token included.");
        Heading(text, "Against sequential", "decoder", "link", "kind", "times as fast", "whole answers", "paper's tokens/trip (7B, n=5)");
        foreach ((BenchRun run, BenchRun baseline) in pairs)
        {
            string paper = PaperFigures.ByKind.TryGetValue(run.Kind, out double value) ? value.ToString("F2", CultureInfo.InvariantCulture) : "";
            Line(text, $"| {run.Decoder} | {run.RttMs:0} ms, {run.UpMbit:0} Mbit/s | {run.Kind} | {run.TokensPerSecond / baseline.TokensPerSecond:F2} | {run.AnswerTokensPerSecond / baseline.AnswerTokensPerSecond:F2} | {paper} |");
        }

        foreach (var decoder in pairs.Where(static p => BenchSuite.PaperKinds.Contains(p.run.Kind)).GroupBy(static p => (p.run.Decoder, p.run.RttMs, p.run.UpMbit)))
        {
            // All tokens over all time: what a user with this mix would see.
            double ours = decoder.Sum(static p => p.run.Tokens) / decoder.Sum(static p => p.run.Tokens / p.run.TokensPerSecond);
            double theirs = decoder.Sum(static p => p.baseline.Tokens) / decoder.Sum(static p => p.baseline.Tokens / p.baseline.TokensPerSecond);
            double answers = decoder.Sum(static p => p.baseline.Tokens / p.baseline.AnswerTokensPerSecond) / decoder.Sum(static p => p.run.Tokens / p.run.AnswerTokensPerSecond);
            Line(text, $"| **{decoder.Key.Decoder}** | {decoder.Key.RttMs:0} ms, {decoder.Key.UpMbit:0} Mbit/s | **four kinds together** | **{ours / theirs:F2}** | **{answers:F2}** | 1.12 overall |");
        }
    }

    private static void WriteNgramSweep(StringBuilder text, IReadOnlyList<BenchRun> runs)
    {
        if (!runs.Any(static r => r.NgramSize > 0))
        {
            return;
        }

        Heading(text, "The paper's n-gram sweep (a key of one token)", "n", "tokens/trip", "match rate", "tok/s", "break-even tokens/trip", "paper, tokens/trip (7B)", "12B");
        BenchRun[] sequential = [.. runs.Where(static r => r.Decoder == "sequential" && BenchSuite.PaperKinds.Contains(r.Kind))];
        double sequentialMs = sequential.Length == 0 ? 0 : sequential.Average(static r => 1000 / r.TokensPerSecond);
        foreach ((int size, double paper, double? paper12B) in PaperFigures.NgramSweep)
        {
            BenchRun[] ours = [.. runs.Where(r => r.NgramSize == size)];
            if (ours.Length > 0)
            {
                // Break-even: the drafted step's time in units of the sequential one's.
                double stepMs = ours.Average(static r => 1000 * r.TokensPerRoundTrip / r.TokensPerSecond);
                string breakEven = sequentialMs > 0 ? (stepMs / sequentialMs).ToString("F2", CultureInfo.InvariantCulture) : "";
                Line(text, $"| {size} | {(double)ours.Sum(static r => r.Tokens) / ours.Sum(static r => r.RoundTrips):F2} | {ours.Average(static r => r.MatchRate):P0} | {ours.Average(static r => r.TokensPerSecond):F1} | {breakEven} | {paper:F2} | {paper12B:F2} |");
            }
        }
    }

    private static void WriteDecomposition(StringBuilder text, IReadOnlyList<BenchRun> runs)
    {
        BenchRun[] steps = [.. runs.Where(static r => r.Decoder == "sequential" && r.RttMs == 80)];
        if (steps.Length == 0)
        {
            return;
        }

        int trips = steps.Sum(static r => r.RoundTrips);
        double Per(Func<BenchRun, double> part) => steps.Sum(part) / trips;
        double[] ours =
        [
            Per(static r => r.TimingMs.Network), Per(static r => r.TimingMs.Head + r.TimingMs.Tail), Per(static r => r.TimingMs.Middle), Per(static r => r.TimingMs.Codec),
        ];
        Heading(text, "A sequential step at 80 ms, milliseconds (prompts included)", "part", "ours", "paper 7B", "paper 12B");
        for (int i = 0; i < ours.Length; i++)
        {
            (string part, double ms7B, double ms12B) = PaperFigures.Decomposition[i];
            Line(text, $"| {part} | {ours[i]:F2} | {ms7B:F1} | {ms12B:F1} |");
        }

        double overhead = steps.Average(static r => (1000 / r.TokensPerSecond) - r.MeasuredRttMs);
        Line(text, $"| **fixed: step less RTT** | **{overhead:F2}** | {PaperFigures.FixedOverheadMs.Ms7B:F1} | {PaperFigures.FixedOverheadMs.Ms12B:F1} |");
    }

    private static void WriteRttModel(StringBuilder text, BenchReport report)
    {
        if (report.RttModel.Count == 0)
        {
            return;
        }

        Heading(text, "Throughput predicted from other round-trip times (leave one out)", "decoder", "fixed ms", "tokens/trip at 20 ms", "at 200 ms", "mean error", "worst error", "paper's worst");
        foreach (RttFit fit in report.RttModel)
        {
            double paper = fit.Decoder == "sequential" ? PaperFigures.ModelErrorPercent.Sequential : PaperFigures.ModelErrorPercent.Drafted;
            Line(text, $"| {fit.Decoder} | {fit.Model.FixedMs:F1} | {fit.Model.TokensPerTrip(20):F2} | {fit.Model.TokensPerTrip(200):F2} | {fit.MeanErrorPercent:F1} % | {fit.MaxErrorPercent:F1} % | {paper:F1} % |");
        }
    }

    private static void WriteProjections(StringBuilder text, IReadOnlyList<RttFit> fits)
    {
        if (fits.Count == 0)
        {
            return;
        }

        Heading(text, "Projected tokens per second, from the fit over all round-trip times", "decoder", "20 ms", "80 ms", "200 ms");
        foreach (RttFit fit in fits)
        {
            Line(text, $"| {fit.Decoder} | {fit.Model.TokensPerSecond(20):F1} | {fit.Model.TokensPerSecond(80):F1} | {fit.Model.TokensPerSecond(200):F1} |");
        }

        (double sequential7B, double drafted7B, double sequential12B, double drafted12B) = PaperFigures.TokensPerSecond;
        Line(text, $"| paper 7B / 12B, sequential | 15-19 (range over its decoders) | {sequential7B:F1} / {sequential12B:F1} | |");
        Line(text, $"| paper 7B / 12B, n = 3 | | {drafted7B:F1} / {drafted12B:F1} | |");
    }

    private static void WriteLocalOnly(StringBuilder text, BenchReport report)
    {
        if (report.LocalOnlyTokensPerSecond <= 0)
        {
            return;
        }

        Heading(text, $"Share of the unsplit model's speed on this machine ({report.LocalOnlyTokensPerSecond:F1} tok/s, one token at a time)", "decoder", "link", "tok/s", "share");
        foreach (var decoder in report.Runs.Where(static r => r.NgramSize == 0 && BenchSuite.PaperKinds.Contains(r.Kind)).GroupBy(static r => (r.Decoder, r.RttMs, r.UpMbit)))
        {
            double speed = decoder.Sum(static r => r.Tokens) / decoder.Sum(static r => r.Tokens / r.TokensPerSecond);
            Line(text, $"| {decoder.Key.Decoder} | {decoder.Key.RttMs:0} ms, {decoder.Key.UpMbit:0} Mbit/s | {speed:F1} | {speed / report.LocalOnlyTokensPerSecond:P1} |");
        }
    }

    private static void WriteLadder(StringBuilder text, IReadOnlyList<LadderRung> ladder)
    {
        if (ladder.Count == 0)
        {
            return;
        }

        Heading(text, "Optimisation ladder at 80 ms", "step", "ms per round trip", "bytes per round trip", "tok/s");
        foreach (LadderRung rung in ladder)
        {
            Line(text, $"| {rung.Name} | {rung.MsPerStep:F1} | {rung.BytesPerStep:F0} | {rung.TokensPerSecond:F1} |");
        }
    }

    private static void WriteIdentity(StringBuilder text, IReadOnlyList<IdentityResult> results)
    {
        if (results.Count == 0)
        {
            return;
        }

        Heading(text, "Against sequential decoding, tokens and the bits of their logits", "decoder", "sampling", "link", "prompts", "tokens", "drafts sent", "accepted", "tokens/trip", "prompts that differ");
        foreach (IdentityResult r in results)
        {
            Line(text, $"| {r.Decoder} | {r.Sampling} | {r.Link} | {r.Prompts} | {r.Tokens} | {r.Proposed} | {r.Accepted} | {r.TokensPerRoundTrip:F2} | {(r.Different == 0 ? "0" : $"**{r.Different}**")} |");
        }
    }

    private static void WriteSessions(StringBuilder text, IReadOnlyList<SessionsResult> results)
    {
        if (results.Count == 0)
        {
            return;
        }

        Heading(text, "Sessions at once on one worker, loopback", "decoder", "sessions", "tokens each", "one at a time, tok/s", "together, tok/s", "times", "at least", "middle ms/trip alone", "together", "head + tail alone", "together", "answers that differ from alone");
        foreach (SessionsResult r in results)
        {
            Line(text, $"| {r.Decoder} | {r.Sessions} | {r.TokensPerSession} | {r.AloneTokensPerSecond:F1} | {r.TokensPerSecond:F1} | {r.Times:F2} | {r.LeastTimes:F2} | {r.AloneTripMs.Middle:F2} | {r.TripMs.Middle:F2} | {r.AloneTripMs.Head + r.AloneTripMs.Tail:F2} | {r.TripMs.Head + r.TripMs.Tail:F2} | {(r.Different == 0 ? "0" : $"**{r.Different}**")} |");
        }
    }

    private static void Heading(StringBuilder text, FormattableString title, params string[] columns) => Heading(text, title.ToString(CultureInfo.InvariantCulture), columns);

    private static void Heading(StringBuilder text, string title, params string[] columns)
    {
        Line(text, $"");
        Line(text, $"## {title}");
        Line(text, $"");
        Line(text, $"| {string.Join(" | ", columns)} |");
        Line(text, $"|{string.Concat(Enumerable.Repeat("---|", columns.Length))}");
    }

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
