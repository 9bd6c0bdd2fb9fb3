using System.IO.Compression;
using System.Text.Json;
using Cleave.Models.Gguf;

namespace Cleave.Tokenization.Tests;

/// <summary>Files of the repository that tests read.</summary>
internal static class Repository
{
    private static readonly Lazy<Tokenizer> LazyDemo = new(() => OfGguf(Model("cleave-demo-24m.q8_0.gguf")));

    /// <summary>The directory that holds Cleave.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The bundled model's tokenizer.</summary>
    public static Tokenizer Demo => LazyDemo.Value;

    public static string Model(string name) => Path.Combine(Root, "models", name);

    public static string Fixture(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    /// <summary>Texts with the ids the reference implementation gives them by the bundled vocabulary.</summary>
    public static JsonDocument DemoCases() => Cases("tokenizers", "demo.cases.json.gz");

    /// <summary>A packed JSON fixture.</summary>
    public static JsonDocument Cases(params string[] parts)
    {
        using FileStream packed = File.OpenRead(Fixture(parts));
        using GZipStream unpacked = new(packed, CompressionMode.Decompress);
        return JsonDocument.Parse(unpacked);
    }

    /// <summary>The tokenizer inside a GGUF file.</summary>
    public static Tokenizer OfGguf(string path) => Tokenizer.Create(DefinitionOf(path));

    public static TokenizerDefinition DefinitionOf(string path)
    {
        GgufTokenizer stored = GgufTokenizer.Read(GgufMetadata.Open(path))!;
        return new TokenizerDefinition
        {
            Source = path,
            Model = stored.Model,
            PreTokenizer = stored.PreTokenizer,
            Tokens = stored.Tokens,
            TokenTypes = stored.TokenTypes,
            Merges = stored.Merges,
            Scores = stored.Scores,
            BosId = stored.BosId,
            EosId = stored.EosId,
            EndOfTurnId = stored.EndOfTurnId,
            UnknownId = stored.UnknownId,
            AddBos = stored.AddBos,
            AddSpacePrefix = stored.AddSpacePrefix,
            ChatTemplate = stored.ChatTemplate,
        };
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Cleave.slnx")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException($"no Cleave.slnx above {AppContext.BaseDirectory}");
    }
}
