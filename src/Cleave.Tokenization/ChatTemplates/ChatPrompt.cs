namespace Cleave.Tokenization.ChatTemplates;

/// <summary>What a chat template is rendered with.</summary>
public sealed record ChatPrompt
{
    /// <summary>The conversation, oldest first.</summary>
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>True to end with the opening of the assistant's turn.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Text of the BOS token ("" when the model has none).</summary>
    public string BosToken { get; init; } = "";

    /// <summary>Text of the EOS token.</summary>
    public string EosToken { get; init; } = "";

    /// <summary>Further variables ("tools", "documents", "enable_thinking", "date_string"); values as in <see cref="ChatMessage.Fields"/>.</summary>
    public IReadOnlyDictionary<string, object?>? Variables { get; init; }

    /// <summary>What strftime_now reads.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
