namespace Cleave.Gateway.Generation;

/// <summary>A token of an answer.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Text">The text it completed; empty while a character is incomplete.</param>
/// <param name="Drafted">True when a draft had guessed it.</param>
/// <param name="Step">Round trip that brought it, from 1.</param>
/// <param name="LogProbability">Natural logarithm of its probability, when asked for.</param>
/// <param name="Top">The most likely tokens in its place, most likely first, when asked for.</param>
internal readonly record struct AnswerToken(
    int Id, string Text, bool Drafted, int Step, double LogProbability = 0, IReadOnlyList<TokenProbability>? Top = null);
