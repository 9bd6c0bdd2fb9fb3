using System.Globalization;

namespace Cleave.Protocol.Codec;

/// <summary>Makes a peer's text safe to show: a hostile worker's message must not drive the user's terminal.</summary>
internal static class PrintableText
{
    /// <summary>Control, format and unassigned characters become '?'.</summary>
    public static string Clean(string text) => string.Create(text.Length, text, static (target, source) =>
    {
        for (int i = 0; i < target.Length; i++)
        {
            target[i] = CharUnicodeInfo.GetUnicodeCategory(source[i]) switch
            {
                UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.OtherNotAssigned
                    or UnicodeCategory.PrivateUse or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator => '?',
                _ => source[i],
            };
        }
    });
}
