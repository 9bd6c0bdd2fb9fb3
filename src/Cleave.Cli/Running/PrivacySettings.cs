using Cleave.Inference.Privacy.KeepLocal;
using Cleave.Protocol.Shaping;

namespace Cleave.Cli.Running;

/// <summary>Measures a run takes beside splitting. All are off unless asked for; docs/THREAT-MODEL.md says what each is worth.</summary>
internal sealed record PrivacySettings
{
    /// <summary>Frames of one size at a constant tick, or null to send them as they come.</summary>
    public FrameShape? Shape { get; init; }

    /// <summary>Which conversations are answered by all layers on this machine, or null.</summary>
    public KeepLocalRules? KeepLocal { get; init; }

    /// <summary>Epsilon of the noise on one token's embedding, or null for none.</summary>
    public double? NoiseEpsilon { get; init; }

    /// <summary>Probability that a conversation is replayed on this machine after it ended.</summary>
    public double AuditShare { get; init; }
}
