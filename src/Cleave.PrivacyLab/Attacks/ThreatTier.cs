namespace Cleave.PrivacyLab.Attacks;

/// <summary>What an attacker has, least first (docs/THREAT-MODEL.md).</summary>
public enum ThreatTier
{
    /// <summary>Sizes and times on the network.</summary>
    N,

    /// <summary>The worker's view; no local weights, no labels.</summary>
    T0,

    /// <summary>T0, and pairs of activation and token.</summary>
    T1,

    /// <summary>Public base weights; head and tail tuned in private.</summary>
    T2,

    /// <summary>All weights and the chat template.</summary>
    T3,

    /// <summary>T3, and answers with crafted activations.</summary>
    T3m,
}
