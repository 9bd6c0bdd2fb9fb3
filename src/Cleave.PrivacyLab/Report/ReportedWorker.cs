namespace Cleave.PrivacyLab.Report;

/// <summary>The worker of a report.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="KeyFingerprint">SHA-256 of its public key, or null when there is none.</param>
/// <param name="Attestation">What its hardware proved.</param>
public sealed record ReportedWorker(string Address, string? KeyFingerprint, string Attestation);
