namespace Cleave.PrivacyLab.Report;

/// <summary>The model of a report.</summary>
/// <param name="Name">Its own name.</param>
/// <param name="Path">File.</param>
/// <param name="Sha256">Of the file.</param>
/// <param name="LocalWeightsArePublic">False only on the user's word that head and tail were tuned in private.</param>
public sealed record ReportedModel(string Name, string Path, string Sha256, bool LocalWeightsArePublic);
