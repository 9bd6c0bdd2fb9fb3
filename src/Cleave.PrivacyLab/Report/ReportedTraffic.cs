namespace Cleave.PrivacyLab.Report;

/// <summary>Bytes of the sessions measured.</summary>
public sealed record ReportedTraffic(int Tokens, long BytesUp, long BytesDown, double PromptLengthsReadFromSizes);
