using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;
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
    private int[] _tokens = [];
    private float[] _staging = [];

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
        try
        {
            _embedding = device.LoadEmbedding(WeightCheck.Finite(source.Path, source.End(EndTensor.Embedding)));
            _layers = LayerStack.Load(device, source, range, progress, workspace);
            _pool = _layers.CreatePool(kvTokens, kvType);
        }
        catch
        {
            Dispose();
            throw;
        }
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
        _plan.Clear();
        if (Refusal(cache, rows) is { } refusal)
        {
            throw refusal;
        }

        // 2. Embed, run the layers, copy out.
        Forward(tokens, hidden, noise);
    }

    /// <summary>The same for rows of several sessions in one pass.</summary>
    internal void Run(IReadOnlyList<HeadJob> jobs)
    {
        if (jobs is [var only])
        {
            Run(only.Cache, only.Rows.Span, only.Tokens.Span, only.Hidden.Span, only.Noise);
            return;
        }

        // 1. Append each session's rows to its cache.
        _pool.Reclaim();
        _plan.Clear();
        int rows = 0;
        foreach (HeadJob job in jobs)
        {
            job.Refusal = Refusal(job.Cache, job.Rows.Span);
            if (job.Refusal is null)
            {
                DeviceBuffers.Ensure(ref _tokens, rows + job.RowCount);
                job.Tokens.Span.CopyTo(_tokens.AsSpan(rows));
                rows += job.RowCount;
            }
        }

        // 2. Embed, run the layers, copy out to each.
        int width = _config.HiddenSize;
        DeviceBuffers.Ensure(ref _staging, rows * width);
        Forward(_tokens.AsSpan(0, rows), _staging, noise: null);
        int first = 0;
        foreach (HeadJob job in jobs)
        {
            if (job.Refusal is null)
            {
                _staging.AsSpan(first * width, job.RowCount * width).CopyTo(job.Hidden.Span);
                first += job.RowCount;
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        // What is missing was not loaded: the constructor failed.
        _hidden?.Dispose();
        _pool?.Dispose();
        _layers?.Dispose();
        _embedding?.Dispose();
    }

    /// <summary>Appends rows to a cache and to the plan; says why not, when the cache refuses them.</summary>
    private InferenceException? Refusal(KvCache cache, ReadOnlySpan<TreeRow> rows)
    {
        Span<bool> dropped = stackalloc bool[rows.Length];
        CacheOutcome outcome = cache.Append(rows, dropped);
        if (!outcome.Succeeded || outcome.Dropped > 0)
        {
            return InferenceException.For(outcome, cache, _config.ContextLength);
        }

        cache.AddToPlan(_plan, rows.Length);
        return null;
    }

    private void Forward(ReadOnlySpan<int> tokens, Span<float> hidden, EmbeddingNoise? noise)
    {
        if (tokens.IsEmpty)
        {
            return;
        }

        DeviceBuffers.Ensure(_device, ref _hidden, tokens.Length, _config.HiddenSize);
        _device.Gather(_embedding, tokens, _config.EmbeddingScale, _hidden);
        if (noise is not null)
        {
            _device.Download(_hidden, tokens.Length, hidden);
            noise.Apply(_plan, tokens, hidden);
            _device.Upload(hidden, _hidden, tokens.Length);
        }

        _layers.Forward(_hidden, _plan, _pool.Arena);
        _device.Download(_hidden, tokens.Length, hidden);
    }
}
