using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>A payment card: 13 to 19 digits, spaced or not, that pass Luhn's check (ISO/IEC 7812-1).</summary>
internal sealed partial class CardRule : IKeepLocalRule
{
    private const int FewestDigits = 13;
    private const int MostDigits = 19;

    public string Name => "card";

    public bool Matches(string text)
    {
        foreach (ValueMatch match in Candidate().EnumerateMatches(text))
        {
            if (HoldsCard(text.AsSpan(match.Index, match.Length)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Digits may run into other numbers ("qty 2 4111 1111 ..."): every run of whole groups is tried.</summary>
    private static bool HoldsCard(ReadOnlySpan<char> candidate)
    {
        Span<char> digits = stackalloc char[MostDigits];
        for (int start = 0; start < candidate.Length; start++)
        {
            bool groupStarts = char.IsAsciiDigit(candidate[start]) && (start == 0 || !char.IsAsciiDigit(candidate[start - 1]));
            int count = 0;
            for (int at = start; groupStarts && at < candidate.Length && count < MostDigits; at++)
            {
                if (!char.IsAsciiDigit(candidate[at]))
                {
                    continue;
                }

                digits[count++] = candidate[at];
                bool groupEnds = at + 1 == candidate.Length || !char.IsAsciiDigit(candidate[at + 1]);
                if (groupEnds && count >= FewestDigits && PassesLuhn(digits[..count]))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static bool PassesLuhn(ReadOnlySpan<char> digits)
    {
        int sum = 0;
        for (int i = 0; i < digits.Length; i++)
        {
            int digit = digits[digits.Length - 1 - i] - '0';
            int doubled = 2 * digit;
            sum += i % 2 == 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
        }

        // All zeros pass and are no card.
        return sum % 10 == 0 && sum > 0;
    }

    [GeneratedRegex("[0-9]([ \\-]?[0-9]){12,40}", RegexOptions.NonBacktracking)]
    private static partial Regex Candidate();
}
