namespace Cleave.Protocol;

/// <summary>A refusal with the sizes or positions concerned, never content.</summary>
/// <param name="Code">What kind.</param>
/// <param name="Message">One sentence that names sizes and positions.</param>
/// <param name="SessionSurvives">False when the session is gone.</param>
/// <param name="RetryAfterMs">0, or when to try again.</param>
/// <param name="Seq">The refused frame's seq (it was not applied; the same seq may be sent again), or 0 when the refusal is not about one frame.</param>
public sealed record WireError(WireErrorCode Code, string Message, bool SessionSurvives = true, int RetryAfterMs = 0, ulong Seq = 0);
