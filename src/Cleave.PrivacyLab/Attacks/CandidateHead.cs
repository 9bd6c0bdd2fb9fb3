using Cleave.Compute;
using Cleave.Engine;
using Cleave.Models;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>The attacker's own copy of a head, which runs candidate tokens of many sessions in one pass.</summary>
public sealed class CandidateHead : IDisposable
{
    private readonly IComputeDevice _device;
    private readonly ModelConfig _config;
    private readonly DeviceWeight _embedding;
    private readonly LayerStack _layers;
    private readonly KvPool _pool;
    private readonly AttentionPlan _plan = new();
    private readonly List<int> _tokens = [];
    private DeviceTensor? _hidden;

    /// <param name="device">Where to run.</param>
    /// <param name="source">The public model file.</param>
    /// <param name="range">Layers of the head attacked.</param>
    /// <param name="kvTokens">Rows all sessions and their candidates may hold at once.</param>
    public CandidateHead(IComputeDevice device, IModelSource source, LayerRange range, int kvTokens)
    {
        _device = device;
        _config = source.Config;
        _embedding = device.LoadWeight([source.End(EndTensor.Embedding)]);
        _layers = LayerStack.Load(device, source, range);
        _pool = _layers.CreatePool(kvTokens);
    }

    /// <summary>Tokens there are.</summary>
    public int VocabularySize => _embedding.Outputs;

    /// <summary>A cache for one session attacked.</summary>
    public KvCache CreateCache(int maxTokens) => new(_pool, maxTokens, _config.ContextLength);

    /// <summary>Starts a pass.</summary>
    public void Begin()
    {
        _pool.Reclaim();
        _plan.Clear();
        _tokens.Clear();
    }

    /// <summary>Adds rows of one session to the pass.</summary>
    public void Add(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<int> tokens)
    {
        var dropped = new bool[rows.Length];
        CacheOutcome outcome = cache.Append(rows, dropped);
        if (!outcome.Succeeded || outcome.Dropped > 0)
        {
            throw new InvalidOperationException($"the attack's own cache refuses row {outcome.Index}: {outcome.Fault}");
        }

        cache.AddToPlan(_plan, rows.Length);
        _tokens.AddRange(tokens);
    }

    /// <summary>Runs the pass: hidden states of all rows added, in order, [rows, hiddenSize].</summary>
    public float[] Run()
    {
        int rows = _tokens.Count;
        if (_hidden is null || _hidden.RowCapacity < rows)
        {
            _hidden?.Dispose();
            _hidden = _device.Allocate(Math.Max(rows, 512), _config.HiddenSize);
        }

        _device.Gather(_embedding, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_tokens), _config.EmbeddingScale, _hidden);
        _layers.Forward(_hidden, _plan, _pool.Arena);
        var hidden = new float[rows * _config.HiddenSize];
        _device.Download(_hidden, rows, hidden);
        return hidden;
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
