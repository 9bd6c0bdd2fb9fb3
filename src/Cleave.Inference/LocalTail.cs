using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sessions;
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
    private int[] _wanted = [];
    private float[] _staging = [];

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
        try
        {
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
        catch
        {
            Dispose();
            throw;
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
        var job = new TailJob
        {
            Clock = TimeProvider.System,
            Cache = cache,
            Rows = rows.ToArray(),
            Hidden = hidden.ToArray(),
            Wanted = wanted.ToArray(),
            Result = new float[wanted.Length * VocabularySize],
        };
        Run([job]);
        if (job.Refusal is { } refusal)
        {
            throw refusal;
        }

        job.Result.Span.CopyTo(logits);
    }

    /// <summary>The same for rows of several sessions in one pass.</summary>
    internal void Run(IReadOnlyList<TailJob> jobs)
    {
        // 1. Append each session's rows to its cache.
        _pool.Reclaim();
        _plan.Clear();
        int rows = 0;
        int wanted = 0;
        int width = _config.HiddenSize;
        foreach (TailJob job in jobs)
        {
            job.Refusal = Refusal(job);
            if (job.Refusal is not null)
            {
                continue;
            }

            DeviceBuffers.Ensure(ref _wanted, wanted + job.Wanted.Length);
            foreach (int row in job.Wanted.Span)
            {
                _wanted[wanted++] = rows + row;
            }

            DeviceBuffers.Ensure(ref _staging, (rows + job.RowCount) * width);
            job.Hidden.Span[..(job.RowCount * width)].CopyTo(_staging.AsSpan(rows * width));
            rows += job.RowCount;
        }

        if (rows == 0)
        {
            return;
        }

        // 2. The last layers, over every row.
        DeviceBuffers.Ensure(_device, ref _hidden, rows, width);
        _device.Upload(_staging.AsSpan(0, rows * width), _hidden, rows);
        _layers.Forward(_hidden, _plan, _pool.Arena);
        if (wanted == 0)
        {
            return;
        }

        // 3. Norm and LM head, over the rows whose logits are wanted.
        DeviceBuffers.Ensure(_device, ref _last, wanted, width);
        _device.CopyRows(_hidden, _wanted.AsSpan(0, wanted), _last);
        _device.RmsNorm(_last, _finalNorm, _config.NormEpsilon, _last, wanted);
        RunHead(wanted);

        // 4. To each session its own.
        int first = 0;
        for (int i = 0; i < jobs.Count;)
        {
            int alike = Alike(jobs, i, out int count);
            Answer(jobs, i, alike, first, count);
            i += alike;
            first += count;
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

    /// <summary>Appends a job's rows to its cache and to the plan; says why not, when the cache refuses them.</summary>
    private InferenceException? Refusal(TailJob job)
    {
        Span<bool> dropped = stackalloc bool[job.RowCount];
        CacheOutcome outcome = job.Cache.Append(job.Rows.Span, dropped);
        if (!outcome.Succeeded || outcome.Dropped > 0)
        {
            return InferenceException.For(outcome, job.Cache, _config.ContextLength);
        }

        job.Cache.AddToPlan(_plan, job.RowCount);
        return null;
    }

    private static int WantedOf(TailJob job) => job.Refusal is null ? job.Wanted.Length : 0;

    /// <summary>How many jobs from one on are answered alike, and how many rows they want in all.</summary>
    private static int Alike(IReadOnlyList<TailJob> jobs, int start, out int wanted)
    {
        TopRows? asked = jobs[start].Asked;
        wanted = WantedOf(jobs[start]);
        int end = start + 1;
        while (end < jobs.Count && asked is not null && jobs[end].Asked is { } other && asked.AsksTheSame(other))
        {
            wanted += WantedOf(jobs[end++]);
        }

        return end - start;
    }

    /// <summary>Copies out what jobs that are answered alike asked for: rows of _logits and _last from <paramref name="first"/> on.</summary>
    private void Answer(IReadOnlyList<TailJob> jobs, int start, int alike, int first, int count)
    {
        if (count == 0)
        {
            return;
        }

        if (jobs[start].Asked is not { } tops)
        {
            _device.Download(_logits!.Rows(first, count), count, jobs[start].Result.Span);
            return;
        }

        int width = _config.HiddenSize;
        _device.TopOf(_logits!.Rows(first, count), count, tops);
        _device.Download(_last!.Rows(first, count), count, _staging);
        int at = 0;
        for (int i = start; i < start + alike; i++)
        {
            TailJob job = jobs[i];
            int own = WantedOf(job);
            job.Tops = tops;
            job.FirstTop = at;
            _staging.AsSpan(at * width, own * width).CopyTo(job.Result.Span);
            at += own;
        }
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
        // What is missing was not loaded: the constructor failed.
        _hidden?.Dispose();
        _last?.Dispose();
        _logits?.Dispose();
        _lmHead?.Dispose();
        _finalNorm?.Dispose();
        _pool?.Dispose();
        _layers?.Dispose();
    }
}
