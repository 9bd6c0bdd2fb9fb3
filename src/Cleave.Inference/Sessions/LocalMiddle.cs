using System.Diagnostics;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Codec;

namespace Cleave.Inference.Sessions;

/// <summary>Middle layers on this machine: unsplit inference behind the same interface. Nothing crosses a network.</summary>
public sealed class LocalMiddle : IMiddle
{
    private readonly LayerStack _layers;
    private readonly KvPool _pool;
    private readonly KvCache _cache;
    private readonly ComputeGate _gate;
    private readonly AttentionPlan _plan = new();
    private readonly Queue<(ulong[] Ids, float[] Hidden, double ComputeMs)> _replies = new();
    private readonly WireCuts? _cuts;
    private DeviceTensor? _hidden;

    /// <param name="layers">The middle layers; several sessions may share them.</param>
    /// <param name="pool">Their cache slots.</param>
    /// <param name="maxTokens">Most rows this session may hold.</param>
    /// <param name="gate">Serialises use of the device.</param>
    /// <param name="cuts">Where activations are rounded as between workers of a chain; null nowhere.</param>
    public LocalMiddle(LayerStack layers, KvPool pool, int maxTokens, ComputeGate gate, WireCuts? cuts = null)
    {
        _cuts = cuts is { Wire: not WireType.F32, Layers.Count: > 0 } ? cuts : null;
        _layers = layers;
        _pool = pool;
        _cache = new KvCache(pool, maxTokens, layers.Config.ContextLength);
        _gate = gate;
    }

    /// <inheritdoc />
    public int MaxRowsPerStep => 512;

    /// <inheritdoc />
    public int MaxStepsInFlight => 4;

    /// <inheritdoc />
    public long BytesUp => 0;

    /// <inheritdoc />
    public long BytesDown => 0;

    /// <inheritdoc />
    public string KernelFingerprint => _layers.FingerprintOver(_pool);

    /// <inheritdoc />
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        using ComputeGate.Lease lease = await _gate.EnterAsync(cancellationToken);
        long started = Stopwatch.GetTimestamp();
        _replies.Enqueue(Run(keep.Span, rows.Span, hidden.Span) is var (ids, output)
            ? (ids, output, Stopwatch.GetElapsedTime(started).TotalMilliseconds)
            : default);
    }

    /// <inheritdoc />
    public bool ReplyReady => _replies.Count > 0;

    /// <inheritdoc />
    public ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        (ulong[] ids, float[] hidden, double computeMs) = _replies.Dequeue();
        return ValueTask.FromResult(new MiddleReply(ids, hidden, computeMs, 0, 0, computeMs));
    }

    /// <inheritdoc />
    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        Check(_cache.Keep(keep.Span));
        Check(_cache.Truncate(length));
        return default;
    }

    /// <inheritdoc />
    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => ValueTask.FromResult(0.0);

    /// <inheritdoc />
    public ValueTask DisposeAsync()
    {
        _cache.Dispose();
        _hidden?.Dispose();
        return default;
    }

    private (ulong[] Ids, float[] Hidden) Run(ReadOnlySpan<ulong> keep, ReadOnlySpan<TreeRow> rows, ReadOnlySpan<float> hidden)
    {
        Check(_cache.Keep(keep));
        _pool.Reclaim();
        var dropped = new bool[rows.Length];
        CacheOutcome outcome = _cache.Append(rows, dropped);
        if (outcome.Dropped > 0)
        {
            throw new InvalidOperationException("a row was submitted under a dead parent");
        }

        Check(outcome);
        _plan.Clear();
        _cache.AddToPlan(_plan, rows.Length);
        DeviceBuffers.Ensure(_layers.Device, ref _hidden, rows.Length, _layers.Config.HiddenSize);
        _layers.Device.Upload(hidden, _hidden, rows.Length);
        var output = new float[hidden.Length];
        DeviceTensor running = _hidden;
        int count = rows.Length;
        _layers.Forward(running, _plan, _pool.Arena, _cuts is not { } cuts ? null : layer =>
        {
            if (cuts.Layers.Contains(layer + 1))
            {
                _layers.Device.Download(running, count, output);
                WireRounding.Apply(cuts.Wire, output, _layers.Config.HiddenSize, output);
                _layers.Device.Upload(output, running, count);
            }
        });
        _layers.Device.Download(_hidden, rows.Length, output);
        var ids = new ulong[rows.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = rows[i].Id;
        }

        return (ids, output);
    }

    private void Check(CacheOutcome outcome)
    {
        if (!outcome.Succeeded)
        {
            throw InferenceException.For(outcome, _cache, _layers.Config.ContextLength);
        }
    }
}
