namespace Cleave.Gateway.OpenAi;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">"system", "user" or "assistant".</param>
/// <param name="Content">Its text.</param>
internal sealed record ChatMessage(string Role, string Content);
