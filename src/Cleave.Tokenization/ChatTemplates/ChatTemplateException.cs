namespace Cleave.Tokenization.ChatTemplates;

/// <summary>A chat template refused a conversation, or is itself wrong.</summary>
public sealed class ChatTemplateException : Exception
{
    public ChatTemplateException(string message)
        : base(message)
    {
    }

    /// <summary>True when the template itself raised the error (raise_exception): the conversation does not suit the model.</summary>
    public bool RaisedByTemplate { get; init; }
}
