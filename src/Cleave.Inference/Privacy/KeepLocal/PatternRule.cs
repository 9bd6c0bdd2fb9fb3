using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>A regular expression of the user's, matched in time linear in the text.</summary>
internal sealed class PatternRule : IKeepLocalRule
{
    private readonly Regex _regex;

    /// <exception cref="FormatException">The pattern is malformed, or needs backtracking.</exception>
    public PatternRule(string pattern)
    {
        try
        {
            _regex = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new FormatException($"'{pattern}' is no usable regular expression: {e.Message} (lookarounds and back references are not supported)");
        }

        Name = $"/{pattern}/";
    }

    public string Name { get; }

    public bool Matches(string text) => _regex.IsMatch(text);
}
