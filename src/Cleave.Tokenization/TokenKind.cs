namespace Cleave.Tokenization;

/// <summary>What a token is; the numbers are those of "tokenizer.ggml.token_type".</summary>
public enum TokenKind
{
    /// <summary>Text.</summary>
    Normal = 1,

    /// <summary>Stands for text without a token.</summary>
    Unknown = 2,

    /// <summary>Steers the model; text that spells it is data unless the caller says otherwise.</summary>
    Control = 3,

    /// <summary>Text that is always one token.</summary>
    UserDefined = 4,

    /// <summary>Reserved.</summary>
    Unused = 5,

    /// <summary>One byte, for text without a token (SentencePiece).</summary>
    Byte = 6,
}
