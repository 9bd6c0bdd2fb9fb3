namespace Cleave.Inference.Decoding;

/// <summary>One decoding round trip.</summary>
/// <param name="Rows">Rows sent.</param>
/// <param name="Tokens">Tokens it made certain.</param>
/// <param name="Milliseconds">From the start of drafting to the end of the verdict.</param>
/// <param name="DraftMs">Drafting, within that.</param>
public readonly record struct StepRecord(int Rows, int Tokens, double Milliseconds, double DraftMs);
