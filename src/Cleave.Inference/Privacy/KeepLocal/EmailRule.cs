using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>An e-mail address: local part, at sign, a domain with a dot.</summary>
internal sealed partial class EmailRule : IKeepLocalRule
{
    public string Name => "email";

    public bool Matches(string text) => Address().IsMatch(text);

    [GeneratedRegex(@"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}", RegexOptions.NonBacktracking)]
    private static partial Regex Address();
}
