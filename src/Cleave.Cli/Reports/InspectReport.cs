using Cleave.Compute;
using Cleave.Inference;
using Cleave.Models;

namespace Cleave.Cli.Reports;

/// <summary>What <c>inspect</c> shows: what a model is, and what each side holds of it for a cut.</summary>
internal sealed record InspectReport
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>The model's own name.</summary>
    public required string Name { get; init; }

    /// <summary>Family.</summary>
    public required string Architecture { get; init; }

    /// <summary>Numbers in all tensors of the file.</summary>
    public required long Parameters { get; init; }

    /// <summary>Decoder layers of the whole model.</summary>
    public required int Layers { get; init; }

    /// <summary>Layers the file holds, "a..b".</summary>
    public required string LayersInFile { get; init; }

    /// <summary>True when embedding, final norm and LM head are in the file.</summary>
    public required bool HasEnds { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Numbers per head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Inner width of the feed-forward.</summary>
    public required int FeedForwardSize { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Longest sequence.</summary>
    public required int ContextLength { get; init; }

    /// <summary>True when the LM head is the embedding.</summary>
    public required bool TiedEmbeddings { get; init; }

    /// <summary>Bytes by element type.</summary>
    public required IReadOnlyDictionary<string, long> BytesByType { get; init; }

    /// <summary>Weight bytes of each layer in the file.</summary>
    public required IReadOnlyList<long> LayerBytes { get; init; }

    /// <summary>Weight bytes of embedding, final norm and LM head.</summary>
    public required long EndBytes { get; init; }

    /// <summary>Bytes of layers and LM head on a CPU with --weights packed; null when nothing of them is packed.</summary>
    public long? PackedBytes { get; init; }

    /// <summary>Bytes of keys and values per token and layer, as float32.</summary>
    public required long KvBytesPerTokenAndLayer { get; init; }

    /// <summary>The cut the sides are shown for; null when the file lacks the layers or ends.</summary>
    public SideReport? Head { get; init; }

    /// <inheritdoc cref="Head"/>
    public SideReport? Middle { get; init; }

    /// <inheritdoc cref="Head"/>
    public SideReport? Tail { get; init; }

    /// <summary>What each side takes of a GPU, by cut and weight type; empty when the file lacks layers or ends.</summary>
    public IReadOnlyList<MemoryReport> Memory { get; init; } = [];

    /// <summary>Looks at a model.</summary>
    /// <param name="source">The model.</param>
    /// <param name="cut">The cut to show sides for, valid for it.</param>
    /// <param name="contextTokens">Tokens the caches are sized for.</param>
    public static InspectReport Of(IModelSource source, Cut cut, int contextTokens)
    {
        ModelConfig config = source.Config;
        var byType = new SortedDictionary<string, long>(StringComparer.Ordinal);
        long parameters = 0;
        long Count(TensorData tensor)
        {
            string type = tensor.Type.ToString();
            byType[type] = byType.GetValueOrDefault(type) + tensor.ByteLength;
            parameters += tensor.Rows * tensor.Columns;
            return tensor.ByteLength;
        }

        long[] layerBytes = [.. Enumerable.Range(source.Layers.Start, source.Layers.Count).Select(layer => ModelSizes.TensorsOf(source, layer).Sum(pair => Count(pair.Tensor)))];
        long embedding = source.HasEnds ? Count(source.End(EndTensor.Embedding)) : 0;
        long output = source.HasEnds ? Count(source.End(EndTensor.FinalNorm)) : 0;
        output += source.HasEnds && !config.TiedEmbeddings ? Count(source.End(EndTensor.LmHead)) : 0;
        long kv = 2L * config.KvColumns * sizeof(float);

        SideReport Side(LayerRange range, long more) => new(
            range.ToString(), layerBytes.Skip(range.Start - source.Layers.Start).Take(range.Count).Sum() + more, kv * range.Count * contextTokens);
        bool whole = source.HasEnds && source.Layers.Count == config.Layers;
        return new InspectReport
        {
            Path = source.Path,
            Name = config.Name,
            Architecture = config.Architecture,
            Parameters = parameters,
            Layers = config.Layers,
            LayersInFile = source.Layers.ToString(),
            HasEnds = source.HasEnds,
            HiddenSize = config.HiddenSize,
            Heads = config.Heads,
            KvHeads = config.KvHeads,
            HeadDim = config.HeadDim,
            FeedForwardSize = config.FeedForwardSize,
            VocabularySize = config.VocabularySize,
            ContextLength = config.ContextLength,
            TiedEmbeddings = config.TiedEmbeddings,
            BytesByType = byType,
            LayerBytes = layerBytes,
            EndBytes = embedding + output,
            PackedBytes = WeightPacking.Bytes(source),
            KvBytesPerTokenAndLayer = kv,
            Head = whole ? Side(cut.HeadRange, embedding) : null,
            Middle = whole ? Side(cut.MiddleRange(config.Layers), 0) : null,
            Tail = whole ? Side(cut.TailRange(config.Layers), output) : null,
            Memory = whole ? MemoryReport.Of(source, cut, contextTokens) : [],
        };
    }
}
