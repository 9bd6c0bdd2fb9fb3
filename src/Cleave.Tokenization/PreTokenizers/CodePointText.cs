using System.Globalization;
using System.Text;

namespace Cleave.Tokenization.PreTokenizers;

/// <summary>
/// A text in which every code point is one char, so that .NET's regular expressions, which see UTF-16, count and classify
/// as the reference tokenizers do: a character past U+FFFF is shown to them as one of the same Unicode category.
/// </summary>
internal readonly struct CodePointText
{
    // Null when the text has no surrogates and offsets are its own.
    private readonly int[]? _offsets;

    private CodePointText(string shown, int[]? offsets)
    {
        Shown = shown;
        _offsets = offsets;
    }

    /// <summary>What the expressions match against.</summary>
    public string Shown { get; }

    /// <summary>The offset in the original text of an offset in <see cref="Shown"/>.</summary>
    public int Original(int shownOffset) => _offsets is null ? shownOffset : _offsets[shownOffset];

    /// <summary>Makes the shown text; lone surrogates must have been replaced before.</summary>
    public static CodePointText Of(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            return new CodePointText(text, null);
        }

        var shown = new StringBuilder(text.Length);
        var offsets = new List<int>(text.Length + 1);
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            offsets.Add(at);
            shown.Append(rune.IsBmp ? (char)rune.Value : Representative(Rune.GetUnicodeCategory(rune)));
            at += rune.Utf16SequenceLength;
        }

        offsets.Add(at);
        return new CodePointText(shown.ToString(), [.. offsets]);
    }

    // One that no pattern names and that folds to nothing a pattern names.
    private static char Representative(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u024A',
        UnicodeCategory.LowercaseLetter => '\u02AF',
        UnicodeCategory.TitlecaseLetter => '\u1F88',
        UnicodeCategory.ModifierLetter => '\u02B0',
        UnicodeCategory.OtherLetter => '\u01BB',
        UnicodeCategory.NonSpacingMark => '\u0301',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u16EE',
        UnicodeCategory.OtherNumber => '\u00BC',
        UnicodeCategory.ConnectorPunctuation or UnicodeCategory.DashPunctuation or UnicodeCategory.OpenPunctuation
            or UnicodeCategory.ClosePunctuation or UnicodeCategory.InitialQuotePunctuation
            or UnicodeCategory.FinalQuotePunctuation or UnicodeCategory.OtherPunctuation => '\u00A7',
        UnicodeCategory.MathSymbol => '\u00AC',
        UnicodeCategory.CurrencySymbol => '\u00A2',
        UnicodeCategory.ModifierSymbol => '\u00A8',
        UnicodeCategory.OtherSymbol => '\u00A6',
        UnicodeCategory.Format => '\u00AD',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };
}
