using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>
/// A telephone number: an international one (+ or 00, then 8 to 14 digits), or 9 to 14 digits in groups as numbers are written. Bare runs of
/// digits and dates are left alone: a text full of figures is not a text full of telephones.
/// </summary>
internal sealed partial class PhoneRule : IKeepLocalRule
{
    private const int FewestDigits = 9;
    private const int MostDigits = 15;

    public string Name => "phone";

    public bool Matches(string text)
    {
        foreach (ValueMatch match in Candidate().EnumerateMatches(text))
        {
            ReadOnlySpan<char> number = text.AsSpan(match.Index, match.Length);
            bool glued = (match.Index > 0 && IsPartOfWord(text[match.Index - 1]))
                || (match.Index + match.Length < text.Length && IsPartOfWord(text[match.Index + match.Length]));
            if (!glued && IsNumber(number) && !Date().IsMatch(number))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsNumber(ReadOnlySpan<char> number)
    {
        int digits = 0;
        int groups = 0;
        bool inGroup = false;
        bool bracket = false;
        foreach (char c in number)
        {
            bool digit = char.IsAsciiDigit(c);
            digits += digit ? 1 : 0;
            groups += digit && !inGroup ? 1 : 0;
            inGroup = digit;
            bracket |= c == '(';
        }

        bool international = number[0] == '+' || number.StartsWith("00", StringComparison.Ordinal);
        return digits <= MostDigits && (international ? digits >= 8 : digits >= FewestDigits && (groups >= 3 || (bracket && groups >= 2)));
    }

    private static bool IsPartOfWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '.' or '-' or '/';

    [GeneratedRegex(@"(19|20)[0-9]{2}[\-/.][0-9]{1,2}[\-/.][0-9]{1,2}|[0-9]{1,2}[\-/.][0-9]{1,2}[\-/.](19|20)[0-9]{2}", RegexOptions.NonBacktracking)]
    private static partial Regex Date();

    [GeneratedRegex(@"\+?\(?[0-9][0-9 ()\-./]{6,24}[0-9]", RegexOptions.NonBacktracking)]
    private static partial Regex Candidate();
}
