namespace Cleave.Tokenization.ChatTemplates.Jinja;

internal enum TokenType
{
    Text,
    BlockStart,
    BlockEnd,
    PrintStart,
    PrintEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>A piece of template source.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Text">Its text; a string's with escapes resolved.</param>
/// <param name="Line">Line it starts on, from 1.</param>
internal readonly record struct Token(TokenType Type, string Text, int Line);
