using Cleave.Compute;
using Cleave.Engine;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Inference.Decoding;

/// <summary>
/// A small model with the vocabulary of the one it drafts for, whole and on the trusted side. Shared by all sessions of a
/// process; its device is its own, so that drafting never waits for head or tail.
/// </summary>
public sealed class DraftModel : IDisposable
{
    private readonly IModelSource _source;
    private readonly IComputeDevice _device;
    private readonly DeviceWeight _embedding;
    private readonly DeviceWeight _lmHead;
    private readonly DeviceTensor _finalNorm;
    private readonly LayerStack _layers;
    private readonly KvPool _pool;
    private readonly AttentionPlan _plan = new();
    private readonly Lock _gate = new();
    private DeviceTensor? _hidden;
    private DeviceTensor? _last;
    private DeviceTensor? _logits;

    private DraftModel(IModelSource source, IComputeDevice device, int kvTokens)
    {
        _source = source;
        _device = device;
        _embedding = device.LoadEmbedding(source.End(EndTensor.Embedding));
        _lmHead = device.LoadWeight([source.End(EndTensor.LmHead)]);
        _finalNorm = device.LoadVector(source.End(EndTensor.FinalNorm), source.Config.NormWeightOffset);
        _layers = LayerStack.Load(device, source, new LayerRange(0, source.Config.Layers));
        _pool = _layers.CreatePool(kvTokens);
    }

    /// <summary>Path of its file.</summary>
    public string Path => _source.Path;

    /// <summary>Where it runs.</summary>
    public IComputeDevice Device => _device;

    /// <summary>Its configuration.</summary>
    public ModelConfig Config => _source.Config;

    /// <summary>Loads a draft model for a target.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="target">The tokenizer of the model it drafts for.</param>
    /// <param name="device">Where it runs, its own; disposed with it once loaded. Null makes a CPU device.</param>
    /// <param name="kvTokens">Cache rows all sessions together may hold.</param>
    /// <exception cref="InferenceException">The two vocabularies differ.</exception>
    /// <exception cref="ModelFormatException">The file is no whole model.</exception>
    public static DraftModel Load(string path, Tokenizer target, IComputeDevice? device = null, int kvTokens = 16384)
    {
        ArgumentNullException.ThrowIfNull(target);
        IModelSource source = ModelSource.Open(path);
        try
        {
            if (!source.HasEnds)
            {
                throw new ModelFormatException($"{path} is a middle-only export; a draft model must be whole");
            }

            RequireSameVocabulary(path, TokenizerLoader.Load(source), target);
            return new DraftModel(source, device ?? new CpuDevice(), kvTokens);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>A cache for one session.</summary>
    internal KvCache CreateCache(int maxTokens) => new(_pool, maxTokens, Config.ContextLength);

    /// <summary>
    /// Runs rows through the whole model. tokens: one per row; logits: [wanted, vocabulary] of the rows whose indices are in
    /// <paramref name="wanted"/>. Returns false, and changes nothing, when the cache has no room for the rows.
    /// </summary>
    internal bool TryRun(KvCache cache, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<int> tokens, ReadOnlySpan<int> wanted, Span<float> logits)
    {
        lock (_gate)
        {
            _pool.Reclaim();
            Span<bool> dropped = stackalloc bool[rows.Length];
            CacheOutcome outcome = cache.Append(rows, dropped);
            if (outcome.Fault is CacheFault.PastContext or CacheFault.OverSessionLimit or CacheFault.PoolExhausted)
            {
                return false;
            }

            if (!outcome.Succeeded || outcome.Dropped > 0)
            {
                throw InferenceException.For(outcome, cache, Config.ContextLength);
            }

            _plan.Clear();
            cache.AddToPlan(_plan, rows.Length);
            DeviceBuffers.Ensure(_device, ref _hidden, rows.Length, Config.HiddenSize);
            _device.Gather(_embedding, tokens, Config.EmbeddingScale, _hidden);
            _layers.Forward(_hidden, _plan, _pool.Arena);
            if (wanted.IsEmpty)
            {
                return true;
            }

            DeviceBuffers.Ensure(_device, ref _last, wanted.Length, Config.HiddenSize);
            DeviceBuffers.Ensure(_device, ref _logits, wanted.Length, _lmHead.Outputs);
            _device.CopyRows(_hidden, wanted, _last);
            _device.RmsNorm(_last, _finalNorm, Config.NormEpsilon, _last, wanted.Length);
            _device.MatMul(_last, _lmHead, null, _logits, wanted.Length);
            if (Config.LogitScale != 1 || Config.LogitSoftCap > 0)
            {
                _device.ScaleAndCap(_logits, Config.LogitScale, Config.LogitSoftCap, wanted.Length);
            }

            _device.Download(_logits, wanted.Length, logits);
            return true;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _hidden?.Dispose();
        _last?.Dispose();
        _logits?.Dispose();
        _pool.Dispose();
        _layers.Dispose();
        _finalNorm.Dispose();
        _lmHead.Dispose();
        _embedding.Dispose();
        _device.Dispose();
        _source.Dispose();
    }

    private static void RequireSameVocabulary(string path, Tokenizer draft, Tokenizer target)
    {
        if (draft.VocabularySize != target.VocabularySize)
        {
            throw new InferenceException(
                $"{path} has a vocabulary of {draft.VocabularySize} tokens and {target.Definition.Source} one of {target.VocabularySize}; "
                + "a draft model must share its target's vocabulary: give another with --draft FILE");
        }

        for (int id = 0; id < target.VocabularySize; id++)
        {
            if (draft.Definition.Tokens[id] != target.Definition.Tokens[id])
            {
                throw new InferenceException(
                    $"token {id} is '{draft.Definition.Tokens[id]}' in {path} and '{target.Definition.Tokens[id]}' in {target.Definition.Source}; "
                    + "a draft model must share its target's vocabulary: give another with --draft FILE");
            }
        }
    }
}
