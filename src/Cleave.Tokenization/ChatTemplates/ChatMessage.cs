namespace Cleave.Tokenization.ChatTemplates;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">"system", "user", "assistant", "tool", ...</param>
/// <param name="Content">Its text; null for an assistant message that only calls tools.</param>
public sealed record ChatMessage(string Role, string? Content)
{
    /// <summary>
    /// Further fields a template may look for ("tool_calls", "tool_call_id", "name", "reasoning_content"): null, truth values,
    /// numbers, strings, <see cref="System.Text.Json.JsonElement"/>, or lists and string-keyed dictionaries of these.
    /// </summary>
    public IReadOnlyDictionary<string, object?>? Fields { get; init; }
}
