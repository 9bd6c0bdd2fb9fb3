using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cleave.PrivacyLab.Corpus;

/// <summary>
/// Texts to attack and texts to train attackers on. The two sets that come with the program share no document: what is attacked was
/// held out from the training of the demo model, what attackers train on was not. Other sets are read from JSON lines.
/// </summary>
public static class CorpusSet
{
    // A line is one document; a gigabyte without a line break is no corpus.
    private const int MaxLineChars = 4 << 20;

    /// <summary>The texts that are attacked: 64 documents of each domain.</summary>
    public static IReadOnlyList<CorpusDocument> Evaluation { get; } = Embedded("evaluation.jsonl.br");

    /// <summary>The texts attackers train on.</summary>
    public static IReadOnlyList<CorpusDocument> Attacker { get; } = Embedded("attacker.jsonl.br");

    /// <summary>
    /// Reads JSON lines with <c>text</c> and, if there, <c>id</c>, <c>domain</c>, <c>source</c> (or <c>src</c>); gzip and brotli by the
    /// file's ending (.gz, .br).
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="domain">Domain of documents that name none.</param>
    /// <exception cref="CorpusFormatException">A line is malformed.</exception>
    public static IReadOnlyList<CorpusDocument> Read(string path, CorpusDomain domain = CorpusDomain.General)
    {
        using FileStream file = File.OpenRead(path);
        using Stream text = Path.GetExtension(path) switch
        {
            ".gz" => new GZipStream(file, CompressionMode.Decompress),
            ".br" => new BrotliStream(file, CompressionMode.Decompress),
            _ => file,
        };
        return Parse(text, path, domain);
    }

    /// <summary>Reads every .jsonl, .jsonl.gz and .jsonl.br file of a folder, in the order of their names.</summary>
    /// <exception cref="CorpusFormatException">There is none, or a line is malformed.</exception>
    public static IReadOnlyList<CorpusDocument> ReadFolder(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder).Where(static f => f.EndsWith(".jsonl", StringComparison.Ordinal) || f.EndsWith(".jsonl.gz", StringComparison.Ordinal) || f.EndsWith(".jsonl.br", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        return files.Length > 0
            ? [.. files.SelectMany(static file => Read(file))]
            : throw new CorpusFormatException($"{folder}: holds no .jsonl, .jsonl.gz or .jsonl.br file; give JSON lines with a \"text\" field (unpack other archives first)");
    }

    /// <summary>The same number of documents of each domain, those first in the set; all of a domain that has fewer.</summary>
    public static IReadOnlyList<CorpusDocument> Balanced(IReadOnlyList<CorpusDocument> documents, int count)
    {
        int domains = documents.Select(static d => d.Domain).Distinct().Count();
        var taken = new Dictionary<CorpusDomain, int>();
        var chosen = new List<CorpusDocument>(count);
        foreach (CorpusDocument document in documents)
        {
            int rank = taken.GetValueOrDefault(document.Domain);
            if (rank * domains < count && chosen.Count < count)
            {
                taken[document.Domain] = rank + 1;
                chosen.Add(document);
            }
        }

        return chosen;
    }

    private static List<CorpusDocument> Embedded(string name)
    {
        using Stream file = typeof(CorpusSet).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"the assembly lacks its resource {name}");
        using var text = new BrotliStream(file, CompressionMode.Decompress);
        return Parse(text, name, CorpusDomain.General);
    }

    private static List<CorpusDocument> Parse(Stream stream, string path, CorpusDomain domain)
    {
        var documents = new List<CorpusDocument>();
        using var reader = new StreamReader(stream);
        for (int line = 1; reader.ReadLine() is { } text; line++)
        {
            if (string.IsNullOrWhiteSpace(text))
            {
                continue;
            }

            if (text.Length > MaxLineChars)
            {
                throw new CorpusFormatException($"{path}, line {line}: {text.Length} characters; a document has at most {MaxLineChars}, split it");
            }

            documents.Add(Document(text, path, line, domain));
        }

        return documents.Count > 0 ? documents : throw new CorpusFormatException($"{path}: holds no document; give JSON lines with a \"text\" field");
    }

    private static CorpusDocument Document(string json, string path, int line, CorpusDomain domain)
    {
        try
        {
            CorpusLine parsed = JsonSerializer.Deserialize(json, CorpusJson.Default.CorpusLine)!;
            return new CorpusDocument(
                parsed.Id ?? $"line-{line}", parsed.Domain ?? domain, parsed.Source ?? parsed.Src ?? path,
                parsed.Text ?? throw new CorpusFormatException($"{path}, line {line}: no \"text\" field; every line is an object with one"));
        }
        catch (JsonException e)
        {
            throw new CorpusFormatException($"{path}, line {line}: {e.Message} Every line is a JSON object with a \"text\" field");
        }
    }
}

internal sealed record CorpusLine(string? Id, CorpusDomain? Domain, string? Source, string? Src, string? Text);

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(CorpusLine))]
internal sealed partial class CorpusJson : JsonSerializerContext;
