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
