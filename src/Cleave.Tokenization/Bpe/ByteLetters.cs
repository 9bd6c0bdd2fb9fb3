namespace Cleave.Tokenization.Bpe;

/// <summary>
/// GPT-2's spelling of bytes in vocabularies: printable Latin-1 letters stand for themselves, the other 68 bytes for the
/// letters from U+0100 on.
/// </summary>
internal static class ByteLetters
{
    private static readonly char[] ToLetter = Build();
    private static readonly short[] ToByte = Invert(ToLetter);

    /// <summary>The letter a byte is spelled with.</summary>
    public static char LetterOf(byte value) => ToLetter[value];

    /// <summary>The byte a letter spells, or -1.</summary>
    public static int ByteOf(char letter) => letter < ToByte.Length ? ToByte[letter] : -1;

    private static char[] Build()
    {
        var letters = new char[256];
        char next = (char)0x100;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            letters[b] = printable ? (char)b : next++;
        }

        return letters;
    }

    private static short[] Invert(char[] letters)
    {
        var bytes = new short[letters.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int b = 0; b < 256; b++)
        {
            bytes[letters[b]] = (short)b;
        }

        return bytes;
    }
}
