using Cleave.Compute;
using Cleave.Engine;
using Cleave.Models;

namespace Cleave.Inference;

/// <summary>The second cut: hidden states -> layers [b, n) -> final norm -> LM head -> logits. Shared by all sessions of a process.</summary>
public sealed class LocalTail : IDisposable
{
    private readonly IComputeDevice _device;
    private readonly LayerStack _layers;
    private readonly KvPool _pool;
    private readonly DeviceTensor _finalNorm;
    private readonly DeviceWeight _lmHead;
    private readonly AttentionPlan _plan = new();
    private readonly ModelConfig _config;
    private DeviceTensor? _hidden;
    private DeviceTensor? _last;
    private DeviceTensor? _logits;

    /// <param name="device">Where the tail runs.</param>
    /// <param name="source">A model file with its final norm and LM head.</param>
    /// <param name="range">Layers [b, n).</param>
    /// <param name="kvTokens">Cache rows all sessions together may hold.</param>
    /// <param name="kvType">Storage of keys and values; null takes the device's preference.</param>
    public LocalTail(IComputeDevice device, IModelSource source, LayerRange range, int kvTokens, ElementType? kvType = null)
    {
        _device = device;
        _config = source.Config;
        _layers = LayerStack.Load(device, source, range);
        _pool = _layers.CreatePool(kvTokens, kvType);
        _finalNorm = device.LoadVector(source.End(EndTensor.FinalNorm), _config.NormWeightOffset);
        _lmHead = device.LoadWeight([WeightCheck.Finite(source.Path, source.End(EndTensor.LmHead))]);
    }

    /// <summary>Logits per row.</summary>
    public int VocabularySize => _lmHead.Outputs;

    /// <summary>A cache for one session.</summary>
    public KvCache CreateCache(int maxTokens) => new(_pool, maxTokens, _config.ContextLength);

    /// <summary>
    /// Runs rows through the tail. hidden: [rows, hiddenSize]; logits: [wanted, vocabulary] for the rows whose indices are in
    /// <paramref name="wanted"/>, in that order.
    /// </summary>
    /// <exception cref="InferenceException">The cache refuses the rows.</exception>
    public void Run(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<float> hidden, ReadOnlySpan<int> wanted, Span<float> logits)
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

        // 2. The last layers, over every row.
        DeviceBuffers.Ensure(_device, ref _hidden, rows.Length, _config.HiddenSize);
        _device.Upload(hidden, _hidden, rows.Length);
        _layers.Forward(_hidden, _plan, _pool.Arena);
        if (wanted.IsEmpty)
        {
            return;
        }

        // 3. Norm and LM head, over the rows whose logits are wanted.
        DeviceBuffers.Ensure(_device, ref _last, wanted.Length, _config.HiddenSize);
        DeviceBuffers.Ensure(_device, ref _logits, wanted.Length, VocabularySize);
        _device.CopyRows(_hidden, wanted, _last);
        _device.RmsNorm(_last, _finalNorm, _config.NormEpsilon, _last, wanted.Length);
        _device.MatMul(_last, _lmHead, null, _logits, wanted.Length);
        if (_config.LogitScale != 1 || _config.LogitSoftCap > 0)
        {
            _device.ScaleAndCap(_logits, _config.LogitScale, _config.LogitSoftCap, wanted.Length);
        }

        _device.Download(_logits, wanted.Length, logits);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _hidden?.Dispose();
        _last?.Dispose();
        _logits?.Dispose();
        _lmHead.Dispose();
        _finalNorm.Dispose();
        _pool.Dispose();
        _layers.Dispose();
    }
}
