namespace Cleave.Cli.Benchmarking;

/// <summary>What arXiv 2602.16760 reports, for the columns beside ours.</summary>
internal static class PaperFigures
{
    /// <summary>n-gram size -> tokens per round trip, 7B and 12B; the 12B model was measured at n = 3 alone.</summary>
    public static IReadOnlyList<(int Size, double Tokens7B, double? Tokens12B)> NgramSweep { get; } =
        [(3, 1.21, 1.21), (4, 1.23, null), (5, 1.23, null), (6, 1.25, null), (7, 1.25, null)];

    /// <summary>Kind -> tokens per round trip (7B, n = 5).</summary>
    public static IReadOnlyDictionary<string, double> ByKind { get; } = new Dictionary<string, double>
    {
        ["code"] = 1.43,
        ["structured"] = 1.20,
        ["creative"] = 1.12,
        ["conversational"] = 1.17,
    };

    /// <summary>Part of a step -> milliseconds, 7B and 12B.</summary>
    public static IReadOnlyList<(string Part, double Ms7B, double Ms12B)> Decomposition { get; } =
        [("network", 77.4, 78.5), ("local (head, tail)", 26.2, 24.4), ("remote (middle)", 15.9, 21.1), ("serialisation", 1.0, 1.0)];

    /// <summary>Step time less the round trip, 7B and 12B, in milliseconds.</summary>
    public static (double Ms7B, double Ms12B) FixedOverheadMs => (42.9, 46.3);

    /// <summary>Tokens per second, sequential and with n-gram drafting (n = 3), 7B and 12B.</summary>
    public static (double Sequential7B, double Drafted7B, double Sequential12B, double Drafted12B) TokensPerSecond => (8.3, 9.3, 8.0, 8.7);

    /// <summary>Leave-one-out error of its RTT model in percent: worst sequential, worst drafted.</summary>
    public static (double Sequential, double Drafted) ModelErrorPercent => (2.4, 6.2);
}
