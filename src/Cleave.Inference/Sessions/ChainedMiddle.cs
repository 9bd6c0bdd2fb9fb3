using System.Diagnostics;
using Cleave.Engine;

namespace Cleave.Inference.Sessions;

/// <summary>
/// Middle layers on several workers in a row. A step goes to the first; what comes back goes to the next, and so on, all through
/// this side, which is the only one that holds pairing links (docs/decisions/chains.md). Every hop is a session of its own
/// and is resumed, replayed and checked as one.
/// </summary>
public sealed class ChainedMiddle : IMiddle
{
    private readonly RemoteMiddle[] _hops;
    private readonly Queue<Flight>[] _under;
    private readonly TimeSpan _patience;

    /// <param name="hops">In the order of their layers; owned from now on.</param>
    /// <param name="patience">How long all hops may be silent before the one that has the oldest step is asked by itself, and taken for lost if need be.</param>
    public ChainedMiddle(IReadOnlyList<RemoteMiddle> hops, TimeSpan patience)
    {
        ArgumentOutOfRangeException.ThrowIfZero(hops.Count);
        _hops = [.. hops];
        _under = [.. hops.Select(static _ => new Queue<Flight>())];
        _patience = patience;
    }

    /// <inheritdoc />
    public int MaxRowsPerStep => _hops.Min(static hop => hop.MaxRowsPerStep);

    /// <inheritdoc />
    public int MaxStepsInFlight => _hops.Min(static hop => hop.MaxStepsInFlight);

    /// <inheritdoc />
    public long BytesUp => _hops.Sum(static hop => hop.BytesUp);

    /// <inheritdoc />
    public long BytesDown => _hops.Sum(static hop => hop.BytesDown);

    /// <inheritdoc />
    public string KernelFingerprint => string.Join(" + ", _hops.Select(static hop => hop.KernelFingerprint).Distinct());

    /// <inheritdoc />
    public IReadOnlyList<int> WireCuts => [.. _hops.Skip(1).Select(static hop => hop.Range.Start)];

    /// <summary>The hops, first layers first.</summary>
    public IReadOnlyList<RemoteMiddle> Hops => _hops;

    /// <inheritdoc />
    public bool ReplyReady => _under[^1].Count > 0 && _hops[^1].ReplyReady;

    /// <inheritdoc />
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        await ForwardReadyAsync(cancellationToken);
        long startedAt = Stopwatch.GetTimestamp();
        await _hops[0].SubmitAsync(keep, rows, hidden, cancellationToken);
        _under[0].Enqueue(new Flight(keep.ToArray(), rows.ToArray(), startedAt));
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        // 1. Steps move on as hops answer, until the last hop has the oldest one's answer.
        while (true)
        {
            await ForwardReadyAsync(cancellationToken);
            if (ReplyReady)
            {
                break;
            }

            if (!await AllSilentAsync(cancellationToken))
            {
                continue;
            }

            // The hop with the oldest step is asked alone: its loss is found, and mended, there.
            int oldest = Array.FindLastIndex(_under, static steps => steps.Count > 0);
            if (oldest == _hops.Length - 1)
            {
                break;
            }

            await ForwardAsync(oldest, cancellationToken);
        }

        // 2. That answer, with the time of all hops.
        Flight flight = _under[^1].Dequeue();
        MiddleReply reply = await _hops[^1].ReceiveAsync(cancellationToken);
        return flight.Add(reply) with { TripMs = Stopwatch.GetElapsedTime(flight.StartedAt).TotalMilliseconds };
    }

    /// <inheritdoc />
    public async ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken) =>
        await Task.WhenAll(_hops.Select(hop => hop.TruncateAsync(keep, length, cancellationToken).AsTask()));

    /// <inheritdoc />
    public async ValueTask<double> PingAsync(CancellationToken cancellationToken)
    {
        double totalMs = 0;
        foreach (RemoteMiddle hop in _hops)
        {
            totalMs += await hop.PingAsync(cancellationToken);
        }

        return totalMs;
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        foreach (RemoteMiddle hop in _hops)
        {
            await hop.DisposeAsync();
        }
    }

    /// <summary>Moves on every step whose hop has answered, the oldest first.</summary>
    private async ValueTask ForwardReadyAsync(CancellationToken cancellationToken)
    {
        for (int hop = _hops.Length - 2; hop >= 0; hop--)
        {
            while (_under[hop].Count > 0 && _hops[hop].ReplyReady)
            {
                await ForwardAsync(hop, cancellationToken);
            }
        }
    }

    private async ValueTask ForwardAsync(int hop, CancellationToken cancellationToken)
    {
        MiddleReply reply = await _hops[hop].ReceiveAsync(cancellationToken);
        Flight flight = _under[hop].Dequeue();
        await _hops[hop + 1].SubmitAsync(flight.Keep, flight.Rows, reply.Hidden, cancellationToken);
        _under[hop + 1].Enqueue(flight with
        {
            ComputeMs = flight.ComputeMs + reply.ComputeMs,
            QueueMs = flight.QueueMs + reply.QueueMs,
            CodecMs = flight.CodecMs + reply.CodecMs,
        });
    }

    /// <summary>Waits for whichever hop answers first; true when none does for too long.</summary>
    private async ValueTask<bool> AllSilentAsync(CancellationToken cancellationToken)
    {
        Task[] waiting = [.. _hops.Where((_, hop) => _under[hop].Count > 0).Select(static hop => hop.ReplyArrivedAsync())];
        try
        {
            await Task.WhenAny(waiting).WaitAsync(_patience, cancellationToken);
            return false;
        }
        catch (TimeoutException)
        {
            return true;
        }
    }

    /// <summary>A step on its way through the hops, with what they took so far.</summary>
    private sealed record Flight(ulong[] Keep, TreeRow[] Rows, long StartedAt)
    {
        public double ComputeMs { get; init; }

        public double QueueMs { get; init; }

        public double CodecMs { get; init; }

        public MiddleReply Add(MiddleReply last) => last with { ComputeMs = ComputeMs + last.ComputeMs, QueueMs = QueueMs + last.QueueMs, CodecMs = CodecMs + last.CodecMs };
    }
}
