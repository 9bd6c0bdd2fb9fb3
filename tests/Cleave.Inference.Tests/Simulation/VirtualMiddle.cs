using Cleave.Engine;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>
/// A middle behind a virtual link. The inner middle really computes, at once; the reply becomes visible when link and worker
/// would have brought it on the virtual clock.
/// </summary>
/// <param name="inner">Computes.</param>
/// <param name="clock">Virtual time.</param>
/// <param name="link">The link.</param>
/// <param name="takeComputeMs">Virtual time the inner middle computed since the last call.</param>
/// <param name="seed">Of jitter and stalls.</param>
internal sealed class VirtualMiddle(IMiddle inner, VirtualClock clock, VirtualLink link, Func<double> takeComputeMs, int seed = 1) : IMiddle
{
    private readonly Random _random = new(seed);
    private readonly Queue<(VirtualClock.WorkerJob Job, MiddleReply Reply, double DownMs, double DelayMs, double SentMs, double ComputeMs)> _replies = new();
    private double _upFreeMs;
    private double _lastUpMs;
    private double _downFreeMs;
    private double _lastArrivalMs;

    public int MaxRowsPerStep => inner.MaxRowsPerStep;

    public int MaxStepsInFlight => 16;

    public long BytesUp { get; private set; }

    public long BytesDown { get; private set; }

    public string KernelFingerprint => inner.KernelFingerprint;

    public bool ReplyReady => _replies.Count > 0 && ArrivalMs() <= clock.NowMs;

    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        await inner.SubmitAsync(keep, rows, hidden, cancellationToken);
        MiddleReply reply = await inner.ReceiveAsync(cancellationToken);
        double computeMs = takeComputeMs();
        BytesUp += link.FrameBytes + (rows.Length * link.RowBytes);
        BytesDown += link.FrameBytes + (rows.Length * link.RowBytes);
        _upFreeMs = Math.Max(_upFreeMs, clock.NowMs) + link.UpMs(rows.Length);
        _lastUpMs = Math.Max(_lastUpMs, _upFreeMs + DelayMs());
        VirtualClock.WorkerJob job = clock.Schedule(_lastUpMs, computeMs);
        var copy = reply with { RowIds = reply.RowIds.ToArray(), Hidden = reply.Hidden.ToArray() };
        _replies.Enqueue((job, copy, link.DownMs(rows.Length), DelayMs(), clock.NowMs, computeMs));
    }

    public ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        double arrival = ArrivalMs();
        (VirtualClock.WorkerJob job, MiddleReply reply, double downMs, _, double sentMs, double computeMs) = _replies.Dequeue();
        _downFreeMs = Math.Max(_downFreeMs, job.EndMs) + downMs;
        _lastArrivalMs = arrival;
        clock.WaitUntil(arrival);
        double workerMs = job.EndMs - job.StartMs;
        return ValueTask.FromResult(reply with
        {
            ComputeMs = workerMs,
            QueueMs = job.StartMs - job.ArrivedMs,
            CodecMs = 0,
            TripMs = arrival - sentMs,
        });
    }

    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        clock.WaitUntil(clock.NowMs + link.RttMs);
        return inner.TruncateAsync(keep, length, cancellationToken);
    }

    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => ValueTask.FromResult(link.RttMs);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private double ArrivalMs()
    {
        (VirtualClock.WorkerJob job, _, double downMs, double delayMs, _, _) = _replies.Peek();
        return Math.Max(_lastArrivalMs, Math.Max(_downFreeMs, job.EndMs) + downMs + delayMs);
    }

    private double DelayMs() => (0.5 * link.RttMs) + (link.JitterMs * _random.NextDouble())
        + (_random.NextDouble() < link.StallProbability ? link.StallMs : 0);
}
