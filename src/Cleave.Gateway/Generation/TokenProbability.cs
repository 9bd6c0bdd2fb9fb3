namespace Cleave.Gateway.Generation;

/// <summary>A token and the natural logarithm of its probability.</summary>
internal readonly record struct TokenProbability(int Id, double LogProbability);
