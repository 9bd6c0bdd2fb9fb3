using Cleave.PrivacyLab.Report;

namespace Cleave.Cli.Running;

/// <summary>What may be said of a run's privacy in one line. The worst applicable threat tier leads (docs/THREAT-MODEL.md).</summary>
internal static class PrivacyVerdict
{
    /// <summary>The line for a run. Whoever holds the same weights as the trusted side can try every token until the activations match.</summary>
    public static string For(SplitHost host) =>
        host.Cut is null ? VerdictLine.Local
        : host.Noise is { } noise ? VerdictLine.Noised(noise.Epsilon, host.NoiseComposed)
        : VerdictLine.PublicWeights;
}
