namespace Cleave.PrivacyLab.Report;

/// <summary>Embedding noise of a report.</summary>
public sealed record ReportedNoise(double EpsilonPerToken, double EpsilonPerPrompt, double Delta, double SigmaOverClip);
