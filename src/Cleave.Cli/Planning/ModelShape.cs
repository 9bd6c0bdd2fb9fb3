using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Cli.Planning;

/// <summary>The sizes of a model that decide what a split of it costs.</summary>
/// <param name="Name">What to call it.</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="FeedForward">Inner width of the feed-forward.</param>
/// <param name="QueryColumns">heads · headDim.</param>
/// <param name="KvColumns">kvHeads · headDim.</param>
/// <param name="Vocabulary">Rows of the embedding.</param>
/// <param name="WeightBits">Stored bits per weight.</param>
internal sealed record ModelShape(
    string Name, int Layers, int Hidden, int FeedForward, int QueryColumns, int KvColumns, int Vocabulary, double WeightBits)
{
    /// <summary>The shapes people ask about: Mistral 7B, NeMo 12B, Llama 3.1 70B and 405B, in 16 bits.</summary>
    public static IReadOnlyList<ModelShape> Known { get; } =
    [
        new("7B (Mistral)", 32, 4096, 14336, 4096, 1024, 32768, 16),
        new("12B (NeMo)", 40, 5120, 14336, 4096, 1024, 131072, 16),
        new("70B (Llama 3.1)", 80, 8192, 28672, 8192, 1024, 128256, 16),
        new("405B (Llama 3.1)", 126, 16384, 53248, 16384, 1024, 128256, 16),
    ];

    /// <summary>Bytes of one layer's weights.</summary>
    public double LayerBytes => WeightBits / 8 * ((2.0 * Hidden * QueryColumns) + (2.0 * Hidden * KvColumns) + (3.0 * Hidden * FeedForward));

    /// <summary>Bytes of the embedding, or of the LM head.</summary>
    public double EndBytes => WeightBits / 8 * Vocabulary * (double)Hidden;

    /// <summary>The shape of an open model.</summary>
    public static ModelShape Of(ModelConfig config, ElementType type) => new(
        config.Name, config.Layers, config.HiddenSize, config.FeedForwardSize, config.QueryColumns, config.KvColumns, config.VocabularySize,
        8.0 * type.BlockBytes() / type.BlockLength());

    /// <summary>Bytes a trusted side of <paramref name="head"/> and <paramref name="tail"/> layers reads per step: its layers and the LM head.</summary>
    public double LocalStepBytes(int head, int tail) => ((head + tail) * LayerBytes) + EndBytes;

    /// <summary>Bytes of memory it holds: those, a separate embedding and a KV cache in 16 bits for <paramref name="context"/> tokens.</summary>
    public double LocalMemoryBytes(int head, int tail, int context) =>
        LocalStepBytes(head, tail) + EndBytes + ((head + tail) * 2.0 * KvColumns * 2 * context);
}
