namespace Cleave.Inference.Decoding;

/// <summary>One verdict. Without pipelining that is one round trip.</summary>
/// <param name="Rows">Rows sent since the verdict before.</param>
/// <param name="Tokens">Tokens it made certain.</param>
/// <param name="Milliseconds">From the verdict before (or the start) to its end.</param>
/// <param name="DraftMs">Drafting within that, overlapped or not.</param>
/// <param name="StallDraftMs">The part of <paramref name="DraftMs"/> in which nothing was on its way.</param>
/// <param name="Frames">Frames sent since the verdict before; 0 when the rows were already on their way.</param>
public readonly record struct StepRecord(int Rows, int Tokens, double Milliseconds, double DraftMs, double StallDraftMs, int Frames);
