using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Models;

namespace Cleave.Cli.Reports;

/// <summary>What the two sides of a cut take of GPUs: weights, caches in f16 and at most this much scratch; the driver's context is not counted.</summary>
/// <param name="Head">First layers on the trusted side.</param>
/// <param name="Tail">Last layers on the trusted side.</param>
/// <param name="Weights">"stored" or "q8".</param>
/// <param name="TrustedBytes">The trusted side, its embedding in host memory.</param>
/// <param name="TrustedBytesWithEmbedding">The trusted side, its embedding on the device.</param>
/// <param name="TrustedKvPer1K">Cache of the trusted side per 1024 tokens.</param>
/// <param name="WorkerBytes">The worker, with a cache for one conversation.</param>
/// <param name="WorkerKvPer1K">Cache of the worker per 1024 tokens.</param>
internal sealed record MemoryReport(
    int Head, int Tail, string Weights, long TrustedBytes, long TrustedBytesWithEmbedding, long TrustedKvPer1K, long WorkerBytes, long WorkerKvPer1K)
{
    private const int Thousand = 1024;

    /// <summary>The cut asked for, and those of 1, 2, 4 and 8 layers at both ends that the model has; each as stored and as q8.</summary>
    public static IReadOnlyList<MemoryReport> Of(IModelSource source, Cut cut, int contextTokens)
    {
        var sizes = ((WeightPrecision[])[WeightPrecision.Stored, WeightPrecision.Q8]).Select(precision => ModelSizes.Of(source, precision)).ToList();
        if (sizes[0].LayerBytes.SequenceEqual(sizes[1].LayerBytes) && sizes[0].LmHeadBytes == sizes[1].LmHeadBytes)
        {
            // Quantised already.
            sizes.RemoveAt(1);
        }

        Cut[] cuts = [cut, .. ((int[])[1, 2, 4, 8]).Select(static layers => new Cut(layers, layers)).Where(other => other != cut && other.Validate(source.Config.Layers) is null)];
        return [.. cuts.SelectMany(at => sizes.Select(size => Of(source.Config, size, at, contextTokens)))];
    }

    private static MemoryReport Of(ModelConfig config, ModelSizes sizes, Cut cut, int tokens)
    {
        const ElementType KvType = ElementType.F16;
        LayerRange head = cut.HeadRange;
        LayerRange tail = cut.TailRange(config.Layers);
        LayerRange middle = cut.MiddleRange(config.Layers);
        long Ends(bool onHost) => MemoryNeeds.OfEnds(sizes, config, head, tail, tokens, KvType, onHost).TotalBytes;
        return new MemoryReport(
            cut.Head, cut.Tail, sizes.Precision.ToString().ToLowerInvariant(), Ends(onHost: true), Ends(onHost: false),
            MemoryNeeds.KvBytesPerToken(config, head.Count + tail.Count, KvType) * Thousand,
            MemoryNeeds.OfLayers(sizes, config, middle, tokens, KvType).TotalBytes, MemoryNeeds.KvBytesPerToken(config, middle.Count, KvType) * Thousand);
    }
}
