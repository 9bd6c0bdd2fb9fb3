using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Privacy;
using Cleave.Models;

namespace Cleave.Inference;

/// <summary>The first cut: token ids -> embedding -> layers [0, a) -> hidden states. Shared by all sessions of a process.</summary>
public sealed class LocalHead : IDisposable
{
    private readonly IComputeDevice _device;
    private readonly DeviceWeight _embedding;
    private readonly LayerStack _layers;
    private readonly KvPool _pool;
    private readonly AttentionPlan _plan = new();
    private readonly ModelConfig _config;
    private DeviceTensor? _hidden;

    /// <param name="device">Where the head runs.</param>
    /// <param name="source">A model file with its embedding.</param>
    /// <param name="range">Layers [0, a).</param>
    /// <param name="kvTokens">Cache rows all sessions together may hold.</param>
    /// <param name="kvType">Storage of keys and values; null takes the device's preference.</param>
    /// <param name="workspace">Activations shared with other parts of the model on this device; null for its own.</param>
    /// <param name="progress">Layers loaded.</param>
    public LocalHead(IComputeDevice device, IModelSource source, LayerRange range, int kvTokens, ElementType? kvType = null, LayerWorkspace? workspace = null, IProgress<LoadProgress>? progress = null)
    {
        _device = device;
        _config = source.Config;
        _embedding = device.LoadEmbedding(WeightCheck.Finite(source.Path, source.End(EndTensor.Embedding)));
        _layers = LayerStack.Load(device, source, range, progress, workspace);
        _pool = _layers.CreatePool(kvTokens, kvType);
    }

    /// <summary>A cache for one session.</summary>
    public KvCache CreateCache(int maxTokens) => new(_pool, maxTokens, _config.ContextLength);

    /// <summary>
    /// Runs rows through the head. <paramref name="tokens"/>[i] is row i's token; hidden: [rows, hiddenSize].
    /// </summary>
    /// <param name="cache">The session's cache.</param>
    /// <param name="rows">Rows to append.</param>
    /// <param name="tokens">Their tokens.</param>
    /// <param name="hidden">Receives what crosses the cut.</param>
    /// <param name="noise">Perturbs embeddings before the first layer; null (the default) leaves them as they are.</param>
    /// <exception cref="InferenceException">The cache refuses the rows.</exception>
    public void Run(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<int> tokens, Span<float> hidden, EmbeddingNoise? noise = null)
    {
        // 1. Append the rows to the cache.
        _pool.Reclaim();
        Span<bool> dropped = stackalloc bool[rows.Length];
        CacheOutcome outcome = cache.Append(rows, dropped);
        if (!outcome.Succeeded || outcome.Dropped > 0)
        {
            throw InferenceException.For(outcome, cache, _config.ContextLength);
        }

        _plan.Clear();
        cache.AddToPlan(_plan, rows.Length);

        // 2. Embed, run the layers, copy out.
        DeviceBuffers.Ensure(_device, ref _hidden, rows.Length, _config.HiddenSize);
        _device.Gather(_embedding, tokens, _config.EmbeddingScale, _hidden);
        if (noise is not null)
        {
            _device.Download(_hidden, rows.Length, hidden);
            noise.Apply(_plan, tokens, hidden);
            _device.Upload(hidden, _hidden, rows.Length);
        }

        _layers.Forward(_hidden, _plan, _pool.Arena);
        _device.Download(_hidden, rows.Length, hidden);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _hidden?.Dispose();
        _pool.Dispose();
        _layers.Dispose();
        _embedding.Dispose();
    }
}
