using System.Text;

namespace Cleave.Tokenization;

/// <summary>
/// Ids to text as they come, in whole characters: bytes of a character still incomplete wait for the rest. The pieces
/// joined are what decoding all ids at once gives.
/// </summary>
/// <param name="tokenizer">Whose ids.</param>
/// <param name="showControl">False to leave control tokens out.</param>
public sealed class StreamingDetokenizer(Tokenizer tokenizer, bool showControl = true)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>The text that this id completes; may be empty.</summary>
    public string Append(int id) =>
        showControl || tokenizer.KindOf(id) != TokenKind.Control ? Decode(tokenizer.TokenBytes(id).Span, flush: false) : "";

    /// <summary>What is left: U+FFFD for a character that never came to its end. The detokenizer may then be used anew.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        var chars = new char[_decoder.GetCharCount(bytes, flush)];
        _decoder.GetChars(bytes, chars, flush);
        return new string(chars);
    }
}
