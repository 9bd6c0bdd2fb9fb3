using System.Globalization;
using System.Text;
using Cleave.Protocol;

namespace Cleave.Endurance.Load;

/// <summary>What a load run showed, and whether it showed what it should.</summary>
internal sealed record LoadReport
{
    public required LoadOptions Options { get; init; }

    public required TimeSpan Elapsed { get; init; }

    public long Conversations { get; init; }

    public long Wrong { get; init; }

    public long Failed { get; init; }

    public required IReadOnlyList<string> Problems { get; init; }

    public required IReadOnlyList<double> TokensPerSecond { get; init; }

    public int Cuts { get; init; }

    public long Resumed { get; init; }

    public long Replayed { get; init; }

    /// <summary>What the worker held in the end, when everybody had left; null when it did not say.</summary>
    public required WorkerLoad? Left { get; init; }

    public required MemoryTrend WorkerMemory { get; init; }

    public required MemoryTrend ClientMemory { get; init; }

    public (int Early, int Late) WorkerDescriptors { get; init; }

    public (int Early, int Late) ClientDescriptors { get; init; }

    /// <summary>Most over least tokens a second of a session.</summary>
    public double Fairness => TokensPerSecond.Max() / TokensPerSecond.Min();

    /// <summary>
    /// Each claim with its verdict. Memory is flat when zero lies within the slope's interval, or an hour of the slope is under 2 % of the
    /// mean: a slope known well enough to differ from zero may still be nothing.
    /// </summary>
    public IEnumerable<(string Claim, bool Held)> Verdicts() =>
    [
        ("every output equals its solo run", Wrong == 0),
        ("no conversation failed", Failed == 0),
        ("most over least tokens a second under 2", Fairness < 2),
        ("worker memory flat", IsFlat(WorkerMemory)),
        ("client memory flat", IsFlat(ClientMemory)),
        ("nothing is left on the worker", Left is { Sessions: 0, KvTokensUsed: 0 }),
        ("no descriptors leaked", WorkerDescriptors.Late <= WorkerDescriptors.Early + 8 && ClientDescriptors.Late <= ClientDescriptors.Early + 8),
    ];

    /// <summary>A page about it.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{Options.Sessions} sessions of {Options.Tenants} tenants for {Elapsed.TotalMinutes:F1} minutes, {Options.Rtt.TotalMilliseconds:F0} ms round trip, model {Path.GetFileName(Options.Model)}, a cut every {Options.MeanCutInterval.TotalSeconds:F1} s on average (seed {Options.Seed}).");
        text.AppendLine().AppendLine("| | |").AppendLine("|---|---|");
        text.AppendLine(CultureInfo.InvariantCulture, $"| conversations (two turns each) compared with their solo runs | {Conversations} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| of them different / failed | {Wrong} / {Failed} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| tokens a second, all sessions | {TokensPerSecond.Sum():F1} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| of one session, least / median / most | {TokensPerSecond.Min():F3} / {TokensPerSecond.Order().ElementAt(TokensPerSecond.Count / 2):F3} / {TokensPerSecond.Max():F3} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| most over least | {Fairness:F2} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| cuts of a tenant's link / sessions resumed / replayed | {Cuts} / {Resumed} / {Replayed} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| left on the worker: sessions / rows | {Left?.Sessions.ToString(CultureInfo.InvariantCulture) ?? "?"} / {Left?.KvTokensUsed.ToString(CultureInfo.InvariantCulture) ?? "?"} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| worker memory, mean; slope (95 % interval) | {Describe(WorkerMemory)} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| client memory, mean; slope (95 % interval) | {Describe(ClientMemory)} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| worker descriptors, most in the second / last quarter | {WorkerDescriptors.Early} / {WorkerDescriptors.Late} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| client descriptors, most in the second / last quarter | {ClientDescriptors.Early} / {ClientDescriptors.Late} |");
        text.AppendLine();
        foreach ((string claim, bool held) in Verdicts())
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {(held ? "held" : "**NOT HELD**")}: {claim}");
        }

        foreach (string problem in Problems)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {problem}");
        }

        return text.ToString();
    }

    private static bool IsFlat(MemoryTrend trend) => trend.Low <= 0 || trend.MebibytesPerHour < 0.02 * trend.MeanMebibytes;

    // Without this a little less than zero is printed with both signs.
    private static double Tenths(double value) => Math.Round(value, 1) + 0.0;

    private static string Describe(MemoryTrend trend) => string.Create(
        CultureInfo.InvariantCulture, $"{trend.MeanMebibytes:F0} MiB; {Tenths(trend.MebibytesPerHour):+0.0;-0.0} MiB/h ({Tenths(trend.Low):+0.0;-0.0} to {Tenths(trend.High):+0.0;-0.0})");
}
