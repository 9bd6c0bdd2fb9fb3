using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>What a part of a model takes of a device that holds its own copy of the weights.</summary>
public sealed record MemoryNeeds
{
    // Activations of one pass: a worker's batch, and a chunk of a prompt on the trusted side.
    private const int WorkerRows = 512;
    private const int TrustedRows = 128;

    // The kernels' partial sums: at most this many of each output, and never more than this.
    private const int Shares = 16;
    private const long MostScratchBytes = 96L << 20;

    /// <summary>Weights.</summary>
    public long WeightBytes { get; init; }

    /// <summary>Keys and values.</summary>
    public long KvBytes { get; init; }

    /// <summary>Activations and the kernels' scratch, at most.</summary>
    public long WorkBytes { get; init; }

    /// <summary>All of it.</summary>
    public long TotalBytes => WeightBytes + KvBytes + WorkBytes;

    /// <summary>Layers with a cache.</summary>
    /// <param name="sizes">The model as it will be loaded.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="range">Which layers.</param>
    /// <param name="kvTokens">Rows of their cache.</param>
    /// <param name="kvType">Storage of keys and values.</param>
    public static MemoryNeeds OfLayers(ModelSizes sizes, ModelConfig config, LayerRange range, int kvTokens, ElementType kvType) =>
        OfLayers(sizes, config, range, kvTokens, kvType, WorkerRows);

    private static MemoryNeeds OfLayers(ModelSizes sizes, ModelConfig config, LayerRange range, int kvTokens, ElementType kvType, int passRows)
    {
        ArgumentNullException.ThrowIfNull(sizes);
        ArgumentNullException.ThrowIfNull(config);
        long columns = (4L * config.HiddenSize) + (2L * config.QueryColumns) + (2L * config.KvColumns) + (2L * config.FeedForwardSize);
        return new MemoryNeeds
        {
            WeightBytes = sizes.BytesOf(range),
            KvBytes = KvBytesPerToken(config, range.Count, kvType) * kvTokens,
            WorkBytes = range.Count == 0
                ? 0
                : ScratchBytes(passRows, Math.Max(2 * config.FeedForwardSize, config.QueryColumns + (2 * config.KvColumns))) + (passRows * columns * sizeof(float)),
        };
    }

    /// <summary>The trusted side: head and tail, LM head, and the embedding unless it stays on the host.</summary>
    /// <param name="sizes">The model as it will be loaded, with its ends.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="head">First layers.</param>
    /// <param name="tail">Last layers.</param>
    /// <param name="kvTokens">Rows of each cache.</param>
    /// <param name="kvType">Storage of keys and values.</param>
    /// <param name="embeddingOnHost">Leaves the embedding out.</param>
    public static MemoryNeeds OfEnds(
        ModelSizes sizes, ModelConfig config, LayerRange head, LayerRange tail, int kvTokens, ElementType kvType, bool embeddingOnHost)
    {
        const int LogitRows = 32;
        MemoryNeeds first = OfLayers(sizes, config, head, kvTokens, kvType, TrustedRows);
        MemoryNeeds last = OfLayers(sizes, config, tail, kvTokens, kvType, TrustedRows);
        return new MemoryNeeds
        {
            WeightBytes = first.WeightBytes + last.WeightBytes + sizes.FinalNormBytes + sizes.LmHeadBytes + (embeddingOnHost ? 0 : sizes.EmbeddingBytes),
            KvBytes = first.KvBytes + last.KvBytes,
            WorkBytes = Math.Max(Math.Max(first.WorkBytes, last.WorkBytes), ScratchBytes(LogitRows, config.VocabularySize))
                + ((long)LogitRows * config.VocabularySize * sizeof(float)),
        };
    }

    private static long ScratchBytes(int rows, int outputs) => Math.Min(MostScratchBytes, (long)Shares * rows * outputs * sizeof(float));

    /// <summary>Bytes of keys and values one token takes in some layers.</summary>
    public static long KvBytesPerToken(ModelConfig config, int layers, ElementType kvType)
    {
        ArgumentNullException.ThrowIfNull(config);
        return 2L * layers * kvType.RowBytes(config.KvColumns);
    }
}
