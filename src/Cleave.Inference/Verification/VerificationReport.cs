namespace Cleave.Inference.Verification;

/// <summary>How a model's computation compares with a reference. Errors are max|a-b| / max|b| over a whole tensor.</summary>
public sealed record VerificationReport
{
    /// <summary>Largest error that passes.</summary>
    public const double Tolerance = 1e-4;

    /// <summary>A position counts as a near-tie when its two largest logits are closer than this; what follows is not compared.</summary>
    public const double NearTie = 1e-3;

    /// <summary>"llama", "qwen3", ...</summary>
    public required string Architecture { get; init; }

    /// <summary>Error of each layer's output; null where the reference lacks it.</summary>
    public required IReadOnlyList<double?> LayerErrors { get; init; }

    /// <summary>Error of the logits; null when the reference lacks them.</summary>
    public required double? LogitsError { get; init; }

    /// <summary>Greedy tokens that equal the reference's, counted to the first that does not; null without a reference.</summary>
    public required int? GreedyEqualUntil { get; init; }

    /// <summary>Greedy tokens before the first near-tie: those that have to be equal.</summary>
    public required int? GreedyComparable { get; init; }

    /// <summary>Greedy tokens in the reference.</summary>
    public required int? GreedyLength { get; init; }

    /// <summary>Worst layer.</summary>
    public double MaxRelativeError => LayerErrors.Max() ?? 0;

    /// <summary>True when all that could be compared agrees.</summary>
    public bool Passed => MaxRelativeError <= Tolerance && (LogitsError ?? 0) <= Tolerance && (GreedyEqualUntil ?? 0) >= (GreedyComparable ?? 0);
}
