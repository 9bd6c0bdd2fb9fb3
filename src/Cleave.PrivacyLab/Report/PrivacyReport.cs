namespace Cleave.PrivacyLab.Report;

/// <summary>What <c>cleave privacy</c> says of one model, cut and set of measures. The worst applicable tier leads.</summary>
public sealed record PrivacyReport
{
    /// <summary>Raised when an attack changes: figures of two versions are not compared.</summary>
    public const int CurrentAttackVersion = 1;

    /// <summary>The one line that chat, run and serve show.</summary>
    public required string Verdict { get; init; }

    /// <summary>When it was measured.</summary>
    public required DateTimeOffset Date { get; init; }

    /// <summary>Version of the attacks.</summary>
    public int AttackVersion { get; init; } = CurrentAttackVersion;

    /// <summary>The model.</summary>
    public required ReportedModel Model { get; init; }

    /// <summary>Where it is cut.</summary>
    public required ReportedCut Cut { get; init; }

    /// <summary>Who runs the middle.</summary>
    public required ReportedWorker Worker { get; init; }

    /// <summary>Encoding of activations.</summary>
    public required string Wire { get; init; }

    /// <summary>What the network sees of sizes and times.</summary>
    public required string SideChannel { get; init; }

    /// <summary>Embedding noise, or null when it is off.</summary>
    public ReportedNoise? Noise { get; init; }

    /// <summary>A session over the wire, measured.</summary>
    public required ReportedTraffic Traffic { get; init; }

    /// <summary>What an audit of that session found, or why there was none.</summary>
    public required string Audit { get; init; }

    /// <summary>Attacks, the worst tier that applies first.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>What guessing without activations gets right.</summary>
    public required IReadOnlyList<Finding> Baselines { get; init; }

    /// <summary>Documents attacked.</summary>
    public required int Documents { get; init; }

    /// <summary>Rows attacked.</summary>
    public required int Rows { get; init; }

    /// <summary>Seed of learned attacks and resampling.</summary>
    public required int Seed { get; init; }

    /// <summary>Seconds it took.</summary>
    public double Seconds { get; init; }
}
