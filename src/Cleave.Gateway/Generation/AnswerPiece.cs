namespace Cleave.Gateway.Generation;

/// <summary>Part of an answer: what one round trip added.</summary>
/// <param name="Text">New text; may be empty while it could still turn out to be a stop sequence.</param>
/// <param name="Tokens">The tokens it is made of.</param>
internal readonly record struct AnswerPiece(string Text, IReadOnlyList<AnswerToken> Tokens);
