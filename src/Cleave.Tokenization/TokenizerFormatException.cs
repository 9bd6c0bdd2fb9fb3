namespace Cleave.Tokenization;

/// <summary>A tokenizer's data or a chat template is malformed or of a kind that is not supported. The message names the culprit.</summary>
public sealed class TokenizerFormatException : Exception
{
    public TokenizerFormatException(string message)
        : base(message)
    {
    }

    public TokenizerFormatException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
