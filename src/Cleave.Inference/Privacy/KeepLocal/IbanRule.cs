using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>An international bank account number: country, check digits, 11 to 30 letters and digits, spaced or not, that leave 1 modulo 97 (ISO 13616).</summary>
internal sealed partial class IbanRule : IKeepLocalRule
{
    private const int Fewest = 15;
    private const int Most = 34;

    public string Name => "iban";

    public bool Matches(string text)
    {
        foreach (ValueMatch match in Start().EnumerateMatches(text))
        {
            bool glued = match.Index > 0 && char.IsLetterOrDigit(text[match.Index - 1]);
            if (!glued && HoldsIban(text.AsSpan(match.Index)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What follows the number may look like more of it, so every length is tried.</summary>
    private static bool HoldsIban(ReadOnlySpan<char> text)
    {
        Span<char> number = stackalloc char[Most];
        int count = 0;
        for (int at = 0; at < text.Length && count < Most; at++)
        {
            char c = char.ToUpperInvariant(text[at]);
            if (c == ' ')
            {
                continue;
            }

            if (!char.IsAsciiLetterOrDigit(c))
            {
                return false;
            }

            number[count++] = c;
            bool ends = at + 1 == text.Length || !char.IsLetterOrDigit(text[at + 1]);
            if (ends && count >= Fewest && LeavesOne(number[..count]))
            {
                return true;
            }
        }

        return false;
    }

    private static bool LeavesOne(ReadOnlySpan<char> number)
    {
        int remainder = 0;
        for (int i = 0; i < number.Length; i++)
        {
            char c = number[(i + 4) % number.Length];
            remainder = char.IsAsciiDigit(c) ? ((10 * remainder) + (c - '0')) % 97 : ((100 * remainder) + (c - 'A') + 10) % 97;
        }

        return remainder == 1;
    }

    [GeneratedRegex("[A-Za-z]{2}[0-9]{2} ?[A-Za-z0-9]", RegexOptions.NonBacktracking)]
    private static partial Regex Start();
}
