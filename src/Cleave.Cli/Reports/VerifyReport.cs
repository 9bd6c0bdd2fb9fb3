using Cleave.Inference.Verification;

namespace Cleave.Cli.Reports;

/// <summary>What <c>verify --json</c> prints.</summary>
internal sealed record VerifyReport
{
    public required string Model { get; init; }
    public required string Architecture { get; init; }

    /// <summary>max|a-b| / max|b| of the worst layer.</summary>
    public required double MaxRelativeError { get; init; }

    /// <summary>The same of each layer; null where the reference lacks it.</summary>
    public required IReadOnlyList<double?> Layers { get; init; }

    public required double? LogitsRelativeError { get; init; }
    public required int? GreedyEqualUntil { get; init; }
    public required int? GreedyComparable { get; init; }
    public required int? GreedyLength { get; init; }
    public required double Tolerance { get; init; }
    public required bool Passed { get; init; }

    public static VerifyReport Of(string model, VerificationReport report) => new()
    {
        Model = model,
        Architecture = report.Architecture,
        MaxRelativeError = Finite(report.MaxRelativeError),
        Layers = [.. report.LayerErrors.Select(error => error is { } value ? Finite(value) : (double?)null)],
        LogitsRelativeError = report.LogitsError is { } logits ? Finite(logits) : null,
        GreedyEqualUntil = report.GreedyEqualUntil,
        GreedyComparable = report.GreedyComparable,
        GreedyLength = report.GreedyLength,
        Tolerance = VerificationReport.Tolerance,
        Passed = report.Passed,
    };

    // JSON has no infinity, which is what NaN activations compare as.
    private static double Finite(double error) => Math.Min(error, double.MaxValue);
}
