namespace Cleave.PrivacyLab.Corpus;

/// <summary>A corpus file is malformed; the message names file, line and remedy.</summary>
public sealed class CorpusFormatException(string message) : Exception(message);
