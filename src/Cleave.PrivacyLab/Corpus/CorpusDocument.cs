namespace Cleave.PrivacyLab.Corpus;

/// <summary>One text. Everything the lab splits, it splits by document.</summary>
/// <param name="Id">Name within its set.</param>
/// <param name="Domain">Kind of text.</param>
/// <param name="Source">Where it is from (Corpus/SOURCES.md holds licences).</param>
/// <param name="Text">The text.</param>
public sealed record CorpusDocument(string Id, CorpusDomain Domain, string Source, string Text);
