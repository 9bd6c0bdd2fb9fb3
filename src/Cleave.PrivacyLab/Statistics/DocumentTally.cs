namespace Cleave.PrivacyLab.Statistics;

/// <summary>How many of a document's rows were right.</summary>
/// <param name="Hits">Right.</param>
/// <param name="Total">All that count.</param>
public readonly record struct DocumentTally(int Hits, int Total);
