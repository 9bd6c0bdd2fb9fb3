namespace Cleave.Models.Hub;

/// <summary>What a hub says about names becomes paths on this machine, so nothing is believed that could lead elsewhere.</summary>
internal static class HubPath
{
    private const int MaxLength = 512;

    /// <summary>True for a relative path of plain names: a file of a repository.</summary>
    public static bool IsSafe(string path) =>
        path.Length is > 0 and <= MaxLength
        && !path.Any(static letter => char.IsControl(letter) || letter is '\\' or ':' or '*' or '?' or '"' or '<' or '>' or '|')
        && path.Split('/').All(static part => part.Length > 0 && part is not ("." or "..") && part.Trim() == part && !part.EndsWith('.'));

    /// <summary>True for a commit: 40 hexadecimal digits at the hub itself; other servers name states as they like, so any plain word will do.</summary>
    public static bool IsCommit(string text) => text.Length is > 0 and <= 64 && text.All(char.IsAsciiLetterOrDigit);

    /// <summary>A path for a URL, each part escaped.</summary>
    public static string Escape(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));
}
