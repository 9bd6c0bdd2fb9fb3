namespace Cleave.Gateway.Grammar;

/// <summary>Characters as byte sequences (RFC 3629), as they stand between the quotes of a JSON string.</summary>
internal static class Utf8
{
    private const int MaxRune = 0x10FFFF;

    /// <summary>Adds any character that needs no escape in a JSON string.</summary>
    public static GrammarNode Any(GrammarBuilder builder, GrammarNode from)
    {
        GrammarNode end = builder.Node();
        foreach ((int low, int high) in ((int, int)[])[(0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7F), (0x80, 0xD7FF), (0xE000, MaxRune)])
        {
            AddRange(builder, from, low, high, end);
        }

        return end;
    }

    /// <summary>Adds one character of some ranges of code points, each in its shortest JSON spelling.</summary>
    public static GrammarNode OneOf(GrammarBuilder builder, GrammarNode from, IEnumerable<(int Low, int High)> ranges)
    {
        GrammarNode end = builder.Node();
        foreach ((int low, int high) in ranges)
        {
            for (int rune = low; rune <= Math.Min(high, 0x5C); rune++)
            {
                if (rune is < 0x20 or '"' or '\\')
                {
                    builder.Text(from, Escaped(rune)).Epsilon.Add(end);
                }
            }

            foreach ((int a, int b) in ((int, int)[])[(0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, MaxRune)])
            {
                if (Math.Max(low, a) <= Math.Min(high, b))
                {
                    AddRange(builder, from, Math.Max(low, a), Math.Min(high, b), end);
                }
            }
        }

        return end;
    }

    private static string Escaped(int rune) => rune switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        _ => $"\\u{rune:x4}",
    };

    /// <summary>Splits a range where the number of bytes changes, then byte by byte.</summary>
    private static void AddRange(GrammarBuilder builder, GrammarNode from, int low, int high, GrammarNode end)
    {
        foreach ((int a, int b) in ((int, int)[])[(0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, MaxRune)])
        {
            if (Math.Max(low, a) <= Math.Min(high, b))
            {
                AddBytes(builder, from, Encode(Math.Max(low, a)), Encode(Math.Min(high, b)), end);
            }
        }
    }

    // low and high have the same length. Either their first bytes agree, or the range falls into a ragged beginning, a
    // full middle and a ragged end.
    private static void AddBytes(GrammarBuilder builder, GrammarNode from, ReadOnlySpan<byte> low, ReadOnlySpan<byte> high, GrammarNode end)
    {
        if (low.Length == 1)
        {
            from.Bytes.Add((low[0], high[0], end));
            return;
        }

        if (low[0] == high[0])
        {
            AddBytes(builder, builder.Range(from, low[0], low[0]), low[1..], high[1..], end);
            return;
        }

        Span<byte> least = stackalloc byte[low.Length - 1];
        Span<byte> most = stackalloc byte[low.Length - 1];
        least.Fill(0x80);
        most.Fill(0xBF);
        byte first = low[0];
        byte last = high[0];
        if (!low[1..].SequenceEqual(least))
        {
            AddBytes(builder, builder.Range(from, first, first), low[1..], most, end);
            first++;
        }

        if (!high[1..].SequenceEqual(most))
        {
            AddBytes(builder, builder.Range(from, last, last), least, high[1..], end);
            last--;
        }

        if (first <= last)
        {
            AddBytes(builder, builder.Range(from, first, last), least, most, end);
        }
    }

    private static byte[] Encode(int rune)
    {
        var bytes = new byte[4];
        return bytes[..new System.Text.Rune(rune).EncodeToUtf8(bytes)];
    }
}
