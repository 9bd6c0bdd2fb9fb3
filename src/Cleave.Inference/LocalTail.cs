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
    /// <param name="workspace">Activations shared with other parts of the model on this device; null for its own.</param>
    /// <param name="progress">Layers loaded.</param>
    public LocalTail(IComputeDevice device, IModelSource source, LayerRange range, int kvTokens, ElementType? kvType = null, LayerWorkspace? workspace = null, IProgress<LoadProgress>? progress = null)
    {
        _device = device;
        _config = source.Config;
        _layers = LayerStack.Load(device, source, range, progress, workspace);
        _pool = _layers.CreatePool(kvTokens, kvType);
        _finalNorm = device.LoadVector(source.End(EndTensor.FinalNorm), _config.NormWeightOffset);
        TensorData lmHead = WeightCheck.Finite(source.Path, source.End(EndTensor.LmHead));
        _lmHead = device.LoadWeight([lmHead]);
        if (_lmHead.DeviceBytes > 0 && !_config.TiedEmbeddings)
        {
            // A tied one may be the embedding that the head keeps on the host.
            lmHead.Release();
        }
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
        if (RunLayers(cache, rows, hidden, wanted))
        {
            RunHead(wanted.Length);
            _device.Download(_logits!, wanted.Length, logits);
        }
    }

    /// <summary>
    /// The same, with the logits in short. normed: [wanted, hiddenSize], from which <see cref="LogitsOf"/> makes a whole row later on.
    /// </summary>
    /// <exception cref="InferenceException">The cache refuses the rows.</exception>
    public void Run(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<float> hidden, ReadOnlySpan<int> wanted, TopRows tops, Span<float> normed)
    {
        if (RunLayers(cache, rows, hidden, wanted))
        {
            RunHead(wanted.Length);
            _device.TopOf(_logits!, wanted.Length, tops);
            _device.Download(_last!, wanted.Length, normed);
        }
    }

    /// <summary>The whole row, [vocabulary], of a normed hidden state: the bits it had among others, since a product does not depend on its rows.</summary>
    public void LogitsOf(ReadOnlySpan<float> normed, Span<float> logits)
    {
        DeviceBuffers.Ensure(_device, ref _last, 1, _config.HiddenSize);
        _device.Upload(normed, _last, 1);
        RunHead(1);
        _device.Download(_logits!, 1, logits);
    }

    /// <summary>Where the tail runs.</summary>
    public IComputeDevice Device => _device;

    /// <summary>Steps 1 to 3: true when there are wanted rows, which are then in _last.</summary>
    private bool RunLayers(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<float> hidden, ReadOnlySpan<int> wanted)
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
            return false;
        }

        // 3. Norm, over the rows whose logits are wanted.
        DeviceBuffers.Ensure(_device, ref _last, wanted.Length, _config.HiddenSize);
        _device.CopyRows(_hidden, wanted, _last);
        _device.RmsNorm(_last, _finalNorm, _config.NormEpsilon, _last, wanted.Length);
        return true;
    }

    /// <summary>_logits = LM head of the first rows of _last.</summary>
    private void RunHead(int rows)
    {
        DeviceBuffers.Ensure(_device, ref _logits, rows, VocabularySize);
        _device.MatMul(_last!, _lmHead, null, _logits, rows);
        if (_config.LogitScale != 1 || _config.LogitSoftCap > 0)
        {
            _device.ScaleAndCap(_logits, _config.LogitScale, _config.LogitSoftCap, rows);
        }
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
