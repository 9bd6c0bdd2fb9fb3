using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Cleave.Models.Hub;

/// <summary>A model on a hub, "OWNER/NAME", or one file of it, "OWNER/NAME:file".</summary>
/// <param name="Owner">User or organisation.</param>
/// <param name="Name">Repository.</param>
/// <param name="File">A file's path in the repository, or the part of a GGUF file's name that tells it from its siblings ("Q4_K_M"); null for the model as a whole.</param>
public sealed partial record HubName(string Owner, string Name, string? File = null)
{
    /// <summary>"OWNER/NAME".</summary>
    public string Repository => $"{Owner}/{Name}";

    /// <summary>Name of its folder in the hub's cache.</summary>
    public string Folder => $"models--{Owner}--{Name}";

    /// <summary>Reads "OWNER/NAME" or "OWNER/NAME:file".</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out HubName? name)
    {
        name = null;
        if (text is null || Pattern().Match(text) is not { Success: true } match)
        {
            return false;
        }

        string? file = match.Groups["file"] is { Success: true } group ? group.Value : null;
        string owner = match.Groups["owner"].Value;
        string repository = match.Groups["name"].Value;
        if (file is not null && !HubPath.IsSafe(file))
        {
            return false;
        }

        // The hub's own rules; they also make a name a single folder of the cache, and no other name's.
        foreach (string part in (string[])[owner, repository])
        {
            if (part.Contains("..", StringComparison.Ordinal) || part.Contains("--", StringComparison.Ordinal) || part.EndsWith('.') || part.EndsWith('-'))
            {
                return false;
            }
        }

        name = new HubName(owner, repository, file);
        return true;
    }

    /// <summary>Reads a name that a command line gives.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static HubName Parse(string? text) => TryParse(text, out HubName? name)
        ? name
        : throw new FormatException($"'{text}' names no model of a hub: write OWNER/NAME or OWNER/NAME:file");

    /// <summary>As it was written.</summary>
    public override string ToString() => File is null ? Repository : $"{Repository}:{File}";

    [GeneratedRegex(@"^(?<owner>[A-Za-z0-9_][A-Za-z0-9._-]{0,95})/(?<name>[A-Za-z0-9_][A-Za-z0-9._-]{0,95})(?::(?<file>.{1,512}))?\z")]
    private static partial Regex Pattern();
}
