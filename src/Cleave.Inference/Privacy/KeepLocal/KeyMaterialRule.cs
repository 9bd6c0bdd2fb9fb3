using System.Text.RegularExpressions;

namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>
/// Keys and tokens: PEM private keys, tokens of well-known services by their prefix, JSON web tokens, and assignments of a long value to a
/// name such as password, secret, token or api key.
/// </summary>
internal sealed partial class KeyMaterialRule : IKeepLocalRule
{
    public string Name => "key";

    public bool Matches(string text) => Known().IsMatch(text) || Assigned().IsMatch(text);

    [GeneratedRegex(
        "-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|\\b(AKIA|ASIA)[A-Z0-9]{16}\\b|\\bgh[pousr]_[A-Za-z0-9]{30,}|\\bgithub_pat_[A-Za-z0-9_]{30,}|\\bsk-[A-Za-z0-9_\\-]{20,}"
        + "|\\bxox[abposr]-[A-Za-z0-9\\-]{10,}|\\bAIza[A-Za-z0-9_\\-]{30,}|\\beyJ[A-Za-z0-9_\\-]{8,}\\.eyJ[A-Za-z0-9_\\-]{8,}\\.[A-Za-z0-9_\\-]+|cleave://[^ ]+#[0-9a-fA-F]{64}:",
        RegexOptions.NonBacktracking)]
    private static partial Regex Known();

    [GeneratedRegex(
        "(password|passwd|secret|token|api[_ \\-]?key|access[_ \\-]?key|private[_ \\-]?key)[\"']?\\s{0,4}(:|=|:=|is)\\s{0,4}[\"']?[A-Za-z0-9+/_\\-]{16,}",
        RegexOptions.NonBacktracking | RegexOptions.IgnoreCase)]
    private static partial Regex Assigned();
}
