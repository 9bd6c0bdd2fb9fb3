using Cleave.Compute;
using Cleave.Engine;
using Cleave.Models;

namespace Cleave.Inference.Verification;

/// <summary>
/// Compares a model's computation here with a reference's:
/// <list type="number">
/// <item>the reference's ids in one pass: every layer's output, then the logits</item>
/// <item>its greedy continuation, one token a step, each step fed the reference's own token</item>
/// </list>
/// </summary>
public sealed class ModelVerifier : IDisposable
{
    private readonly IComputeDevice _device;
    private readonly ModelConfig _config;
    private readonly LayerStack _layers;
    private readonly LocalHead _head;
    private readonly LocalTail _tail;
    private readonly AttentionPlan _plan = new();

    /// <param name="device">Where to compute; stays the caller's.</param>
    /// <param name="source">A whole model; stays the caller's.</param>
    /// <param name="maxTokens">Longest sequence that will be compared.</param>
    /// <exception cref="ModelFormatException">The file lacks its ends or a layer.</exception>
    public ModelVerifier(IComputeDevice device, IModelSource source, int maxTokens)
    {
        _device = device;
        _config = source.Config;
        int layers = _config.Layers;
        _head = new LocalHead(device, source, new LayerRange(0, 0), maxTokens);
        _layers = LayerStack.Load(device, source, new LayerRange(0, layers));
        _tail = new LocalTail(device, source, new LayerRange(layers, layers), maxTokens);
    }

    /// <summary>Compares with one reference.</summary>
    /// <exception cref="ModelFormatException">The reference is of another model: ids or shapes do not fit.</exception>
    public VerificationReport Compare(ReferenceActivations reference)
    {
        // 1. Every layer, and the logits.
        int[] ids = Check(reference, reference.InputIds);
        var errors = new double?[_config.Layers];
        float[] logits;
        using (var pass = new Pass(this, ids.Length))
        {
            float[] hidden = new float[ids.Length * _config.HiddenSize];
            logits = pass.Run(ids, allLogits: true, (layer, tensor) =>
            {
                if (reference.Layer(layer, _config.HiddenSize) is { } expected)
                {
                    _device.Download(tensor, ids.Length, hidden);
                    errors[layer] = RelativeError(hidden, expected);
                }
            });
        }

        double? logitsError = reference.Logits(_config.VocabularySize) is { } expectedLogits ? RelativeError(logits, expectedLogits) : null;

        // 2. The greedy continuation.
        (int Equal, int Comparable, int Length)? greedy = CompareGreedy(reference);
        return new VerificationReport
        {
            Architecture = _config.Architecture,
            LayerErrors = errors,
            LogitsError = logitsError,
            GreedyEqualUntil = greedy?.Equal,
            GreedyComparable = greedy?.Comparable,
            GreedyLength = greedy?.Length,
        };
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _tail.Dispose();
        _layers.Dispose();
        _head.Dispose();
    }

    internal static double RelativeError(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            // A NaN on either side must not pass as "not larger".
            double d = Math.Abs((double)actual[i] - expected[i]);
            difference = double.IsNaN(d) ? double.PositiveInfinity : Math.Max(difference, d);
            size = Math.Max(size, Math.Abs((double)expected[i]));
        }

        return size > 0 ? difference / size : difference;
    }

    private (int Equal, int Comparable, int Length)? CompareGreedy(ReferenceActivations reference)
    {
        if (reference.GreedyPrompt is not { Count: > 0 } prompt || reference.GreedyOutput is not { Count: > 0 } output)
        {
            return null;
        }

        int[] promptIds = Check(reference, prompt);
        int[] expected = Check(reference, output);
        int? firstDifference = null;
        int? firstNearTie = null;
        using var pass = new Pass(this, promptIds.Length + expected.Length);
        float[] logits = pass.Run(promptIds, allLogits: false);
        for (int i = 0; i < expected.Length; i++)
        {
            (int best, float gap) = TopTwo(logits);
            firstNearTie ??= gap < VerificationReport.NearTie ? i : null;
            firstDifference ??= best != expected[i] ? i : null;
            if (i + 1 < expected.Length)
            {
                logits = pass.Run([expected[i]], allLogits: false);
            }
        }

        return (firstDifference ?? expected.Length, firstNearTie ?? expected.Length, expected.Length);
    }

    private static (int Best, float Gap) TopTwo(ReadOnlySpan<float> logits)
    {
        int best = 0;
        float second = float.NegativeInfinity;
        for (int i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best])
            {
                (second, best) = (logits[best], i);
            }
            else
            {
                second = Math.Max(second, logits[i]);
            }
        }

        return (best, logits[best] - second);
    }

    private int[] Check(ReferenceActivations reference, IReadOnlyList<int> ids)
    {
        foreach (int id in ids)
        {
            if (id < 0 || id >= _config.VocabularySize)
            {
                throw new ModelFormatException($"{reference.Path}: token id {id} is not in the model's vocabulary of {_config.VocabularySize}");
            }
        }

        return [.. ids];
    }

    /// <summary>One sequence through the whole model.</summary>
    private sealed class Pass : IDisposable
    {
        private readonly ModelVerifier _owner;
        private readonly KvPool _pool;
        private readonly KvCache _headCache;
        private readonly KvCache _cache;
        private readonly KvCache _tailCache;
        private ulong _lastId;

        public Pass(ModelVerifier owner, int maxTokens)
        {
            _owner = owner;
            _pool = owner._layers.CreatePool(maxTokens);
            _headCache = owner._head.CreateCache(maxTokens);
            _cache = new KvCache(_pool, maxTokens, owner._config.ContextLength);
            _tailCache = owner._tail.CreateCache(maxTokens);
        }

        /// <summary>Appends ids; logits of all of them or of the last.</summary>
        public float[] Run(int[] ids, bool allLogits, Action<int, DeviceTensor>? afterLayer = null)
        {
            var rows = new TreeRow[ids.Length];
            for (int i = 0; i < rows.Length; i++)
            {
                rows[i] = new TreeRow(_lastId + 1, _lastId);
                _lastId++;
            }

            int hiddenSize = _owner._config.HiddenSize;
            float[] hidden = new float[ids.Length * hiddenSize];
            _owner._head.Run(_headCache, rows, ids, hidden);
            using DeviceTensor tensor = _owner._device.Allocate(ids.Length, hiddenSize);
            _owner._device.Upload(hidden, tensor, ids.Length);
            CacheOutcome outcome = _cache.Append(rows, new bool[rows.Length]);
            if (!outcome.Succeeded)
            {
                throw InferenceException.For(outcome, _cache, _owner._config.ContextLength);
            }

            _owner._plan.Clear();
            _cache.AddToPlan(_owner._plan, rows.Length);
            _owner._layers.Forward(tensor, _owner._plan, _pool.Arena, afterLayer is null ? null : layer => afterLayer(layer, tensor));
            _owner._device.Download(tensor, ids.Length, hidden);

            int[] wanted = allLogits ? [.. Enumerable.Range(0, ids.Length)] : [ids.Length - 1];
            float[] logits = new float[wanted.Length * _owner._tail.VocabularySize];
            _owner._tail.Run(_tailCache, rows, hidden, wanted, logits);
            return logits;
        }

        public void Dispose()
        {
            _headCache.Dispose();
            _cache.Dispose();
            _tailCache.Dispose();
            _pool.Dispose();
        }
    }
}
