using System.Text.RegularExpressions;

namespace Cleave.Models.Hub;

/// <summary>Which files of a repository make the model that was asked for.</summary>
internal static partial class FileChoice
{
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";

    /// <summary>The files to fetch.</summary>
    /// <exception cref="HubException">There are none, or several models to choose from; the message lists them.</exception>
    public static IReadOnlyList<string> Choose(HubName name, RepositoryInfo info)
    {
        string[] paths = [.. info.Files.Select(static file => file.Path)];
        string[] gguf = [.. paths.Where(static path => path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !IsProjector(path))];
        if (name.File is { } file)
        {
            string[] chosen = paths.Contains(file) ? [file] : Matching(gguf, file);
            return chosen is [var one]
                ? [Whole(name, one)]
                : throw new HubException(chosen.Length == 0
                    ? $"{name.Repository} has no file '{file}'{List(name, info, gguf)}"
                    : $"'{file}' fits several files of {name.Repository}{List(name, info, chosen)}");
        }

        if (paths.Contains("config.json") && (paths.Contains(Single) || paths.Contains(Index)))
        {
            return [.. paths.Where(path => IsText(path) || (paths.Contains(Single) ? path == Single : IsShard(path)))];
        }

        return gguf switch
        {
            [var only] => [Whole(name, only)],
            [] => throw new HubException(
                $"{name.Repository} has neither a GGUF file nor config.json with safetensors; only such models can be used{(paths.Any(static path => path.EndsWith(".bin", StringComparison.Ordinal)) ? " (it has pickled .bin weights: look for a safetensors revision)" : "")}"),
            _ => throw new HubException($"{name.Repository} has {gguf.Length} GGUF files; name the one you want{List(name, info, gguf)}"),
        };
    }

    /// <summary>The files whose names hold a quantisation such as "Q4_K_M" as a word.</summary>
    public static string[] Matching(IEnumerable<string> paths, string part) =>
    [
        .. paths.Where(path => Regex.IsMatch(path, $@"(?<![A-Za-z0-9]){Regex.Escape(part)}(?![A-Za-z0-9_])", RegexOptions.IgnoreCase)),
    ];

    // A projector for pictures is no language model.
    private static bool IsProjector(string path) => Path.GetFileName(path).StartsWith("mmproj", StringComparison.OrdinalIgnoreCase);

    // Small files in the root that configure the model or its tokenizer; other tools want more of them than we do.
    private static bool IsText(string path) =>
        !path.Contains('/', StringComparison.Ordinal)
        && ((path.EndsWith(".json", StringComparison.Ordinal) && (path == Index || !path.EndsWith(".index.json", StringComparison.Ordinal)))
            || path.EndsWith(".jinja", StringComparison.Ordinal) || path is "tokenizer.model" or "merges.txt");

    private static bool IsShard(string path) => ShardName().IsMatch(path);

    private static string Whole(HubName name, string path) => PartOfSeveral().IsMatch(path)
        ? throw new HubException($"{name.Repository}: {path} is one of several parts of a model, which cannot be used; take a GGUF file in one part, or the safetensors checkpoint")
        : path;

    private static string List(HubName name, RepositoryInfo info, IReadOnlyCollection<string> paths)
    {
        const int most = 40;
        if (paths.Count == 0)
        {
            return "; its page lists the files";
        }

        Dictionary<string, long?> sizes = info.Files.DistinctBy(static file => file.Path).ToDictionary(static file => file.Path, static file => file.Size, StringComparer.Ordinal);
        IEnumerable<string> lines = paths.Order(StringComparer.Ordinal).Take(most)
            .Select(path => $"\n  cleave pull {name.Repository}:{path}{(sizes[path] is { } size ? FormattableString.Invariant($"   ({size / 1e9:F2} GB)") : "")}");
        return ":" + string.Concat(lines) + (paths.Count > most ? $"\n  and {paths.Count - most} more" : "");
    }

    [GeneratedRegex(@"^model-\d{5}-of-\d{5}\.safetensors$")]
    private static partial Regex ShardName();

    [GeneratedRegex(@"-\d{5}-of-\d{5}\.gguf$")]
    private static partial Regex PartOfSeveral();
}
