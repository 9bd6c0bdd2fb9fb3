namespace Cleave.PrivacyLab.Report;

/// <summary>Layers by side.</summary>
public sealed record ReportedCut(int Head, int Middle, int Tail);
