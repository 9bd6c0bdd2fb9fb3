namespace Cleave.Cli.Running;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">"system", "user" or "assistant".</param>
/// <param name="Text">What was said.</param>
internal sealed record ChatTurn(string Role, string Text);
