using Cleave.Inference;
using Cleave.Models;

namespace Cleave.Cli.Reports;

/// <summary>A line of <c>models</c>: a model on this machine, with what decides where to cut it.</summary>
internal sealed record ModelReport
{
    /// <summary>What --model takes.</summary>
    public required string Name { get; init; }

    /// <summary>"bundled" or "cache".</summary>
    public required string Source { get; init; }

    public required string Path { get; init; }

    /// <summary>Why it cannot be used; null when it can, and then all below is known.</summary>
    public string? Problem { get; init; }

    public string? Family { get; init; }

    /// <summary>Element types, the one with most bytes first.</summary>
    public string? Weights { get; init; }

    public long? Parameters { get; init; }

    /// <summary>Bytes of all weights.</summary>
    public long? Bytes { get; init; }

    public int? Layers { get; init; }

    public int? HiddenSize { get; init; }

    public int? VocabularySize { get; init; }

    public int? ContextLength { get; init; }

    public bool? TiedEmbeddings { get; init; }

    /// <summary>Weight bytes of the largest layer: what each layer kept here costs.</summary>
    public long? LayerBytes { get; init; }

    /// <summary>Weight bytes of embedding, final norm and LM head, which stay here at any cut.</summary>
    public long? EndBytes { get; init; }

    /// <summary>Bytes of a row's activations, one way, in 16 bits.</summary>
    public long? RowBytes { get; init; }

    /// <summary>Looks at a model; what is wrong with it becomes its <see cref="Problem"/>.</summary>
    public static ModelReport Of(string name, string path, string source)
    {
        var report = new ModelReport { Name = name, Source = source, Path = path };
        try
        {
            using IModelSource model = ModelSource.Open(path);
            InspectReport facts = InspectReport.Of(model, new Cut(0, 0), contextTokens: 1);
            return report with
            {
                Family = facts.Architecture,
                Weights = string.Join("+", facts.BytesByType.OrderByDescending(static pair => pair.Value).Select(static pair => pair.Key)),
                Parameters = facts.Parameters,
                Bytes = facts.BytesByType.Values.Sum(),
                Layers = facts.Layers,
                HiddenSize = facts.HiddenSize,
                VocabularySize = facts.VocabularySize,
                ContextLength = facts.ContextLength,
                TiedEmbeddings = facts.TiedEmbeddings,
                LayerBytes = facts.LayerBytes.Max(),
                EndBytes = facts.EndBytes,
                RowBytes = 2L * facts.HiddenSize,
            };
        }
        catch (ModelFormatException e)
        {
            return report with { Problem = e.Message };
        }
    }
}
