namespace Cleave.Gateway.Grammar;

/// <summary>A schema or pattern that cannot be enforced; the message says which keyword, where, and what is supported.</summary>
internal sealed class GrammarException(string message) : Exception(message);
