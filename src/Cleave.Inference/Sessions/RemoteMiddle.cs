using System.Diagnostics;
using System.Numerics;
using Cleave.Engine;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>
/// Middle layers on a worker, behind a link. Validates everything the worker says: it may be hostile. Survives the loss of
/// the link (the session is resumed, unanswered frames are sent again) and of the worker (the <see cref="BoundaryLog"/> is
/// played to another one); see RemoteMiddle.Recovery.cs and RemoteMiddle.Replay.cs.
/// </summary>
public sealed partial class RemoteMiddle : IMiddle
{
    private readonly WorkerRoster _roster;
    private readonly RemoteMiddleOptions _options;
    private readonly ChainTail? _tail;
    private readonly BoundaryLog _log;
    private readonly int _rowBytes;
    private readonly CancellationTokenSource _lifetime = new();
    private readonly List<Pending> _pending = [];
    private float[] _hidden = [];
    private Worker _worker;
    private ILinkStream? _stream;
    private Task<(WorkerFrame? Frame, long ArrivedAt)>? _receiving;
    private long _arrivedAt;
    private ReadOnlyMemory<byte> _sessionId;
    private ReadOnlyMemory<byte> _secret;
    private ulong _seq;
    private ulong _received;
    private long? _stuckSince;
    private int _inVain;
    private WireError _unfinished = new(WireErrorCode.LinkLost, "there is no connection");
    private long _bytesUpBefore;
    private long _bytesDownBefore;

    private RemoteMiddle(WorkerRoster roster, Worker worker, RemoteMiddleOptions options, ChainTail? tail = null)
    {
        _tail = tail;
        _roster = roster;
        _worker = worker;
        _options = options;
        _rowBytes = ActivationCodec.RowBytes(options.WireType, options.HiddenSize);
        _log = new BoundaryLog(_rowBytes);
        MaxRowsPerStep = Math.Clamp(Workers.Min(static each => each.Description.Limits.MaxRowsPerStep), 1, 4096);
        MaxStepsInFlight = Math.Clamp(Workers.Min(static each => each.Description.Limits.MaxFramesInFlight), 1, 64);
    }

    /// <inheritdoc />
    public int MaxRowsPerStep { get; }

    /// <inheritdoc />
    public int MaxStepsInFlight { get; }

    /// <inheritdoc />
    public long BytesUp => _bytesUpBefore + (_stream?.BytesSent ?? 0);

    /// <inheritdoc />
    public long BytesDown => _bytesDownBefore + (_stream?.BytesReceived ?? 0);

    /// <inheritdoc />
    public string KernelFingerprint => string.Join(" + ", Workers.Select(static worker => worker.Description.KernelFingerprint).Distinct());

    /// <inheritdoc />
    public IReadOnlyList<int> WireCuts => _tail?.Starts ?? [];

    /// <summary>Layers of this session's worker; of a chain, of the first.</summary>
    internal LayerRange Range => _options.Range;

    /// <summary>The worker in use: of a chain, the first.</summary>
    public Worker Worker => _worker;

    /// <summary>All workers in use, in the order of their layers: one, or those of a chain whose rows go from worker to worker.</summary>
    public IEnumerable<Worker> Workers => [_worker, .. _tail?.Workers ?? []];

    /// <inheritdoc />
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        (_stuckSince, _inVain) = (null, 0);
        long started = Stopwatch.GetTimestamp();
        byte[] payload = new byte[rows.Length * _rowBytes];
        if (!ActivationCodec.TryEncode(_options.WireType, hidden.Span, _options.HiddenSize, payload, out int badRow))
        {
            throw new InferenceException($"the head produced a number that is not finite in row {badRow}; the model file may be damaged (try `cleave inspect`)");
        }

        var pending = new Pending(0, keep.ToArray(), rows.ToArray(), payload, TruncateTo: -1)
        {
            CodecMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds,
        };

        // Once begun, a frame is sent whole: cancelling halfway would leave the stream unusable. Numbered when there is room: a replay until then
        // numbers anew.
        await MakeRoomAsync(cancellationToken);
        await SendOrRecoverAsync(pending with { Seq = ++_seq }, cancellationToken);
    }

    /// <inheritdoc />
    public bool ReplyReady
    {
        get
        {
            if (_pending.Count == 0)
            {
                return false;
            }

            if (_stream is { } stream)
            {
                _receiving ??= ReceiveStampedAsync(stream);
            }

            return _receiving is null or { IsCompleted: true };
        }
    }

    /// <summary>Ends, in whatever way, when <see cref="ReceiveAsync"/> has something to do: an answer, or a loss to recover from.</summary>
    internal Task ReplyArrivedAsync()
    {
        if (_stream is not { } stream)
        {
            return Task.CompletedTask;
        }

        return _receiving ??= ReceiveStampedAsync(stream);
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        await ReceiveUnaskedAsync(cancellationToken);
        RowsFrame frame = await ReceiveRowsAsync(cancellationToken);
        Pending pending = _pending[0];
        double tripMs = Stopwatch.GetElapsedTime(pending.SentAt, _arrivedAt).TotalMilliseconds;
        long started = Stopwatch.GetTimestamp();
        if (!Matches(frame.RowIds.Span, pending.Rows))
        {
            throw Broken($"the worker returned {frame.RowIds.Length} rows for the {pending.Rows.Length} of step {pending.Seq}, or others than were sent");
        }

        int floats = pending.Rows.Length * _options.HiddenSize;
        if (_hidden.Length < floats)
        {
            // Most steps have a few rows, and a worker may allow thousands: what is kept is what was needed.
            _hidden = new float[(int)BitOperations.RoundUpToPowerOf2((uint)pending.Rows.Length) * _options.HiddenSize];
        }

        if (!ActivationCodec.TryDecode(_options.WireType, frame.Payload.Span, _options.HiddenSize, _hidden.AsSpan(0, floats), out int badRow))
        {
            throw Broken($"the worker's payload for step {pending.Seq} has a wrong size or a number that is not finite (row {badRow})");
        }

        Answered(pending);
        double codecMs = pending.CodecMs + Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new MiddleReply(
            frame.RowIds, _hidden.AsMemory(0, floats), frame.ComputeMicros / 1000.0, frame.QueueMicros / 1000.0, codecMs, tripMs);
    }

    /// <inheritdoc />
    /// <remarks>Not waited for: the worker takes frames in order, so the next step may follow at once, and its answer comes behind the one to this.</remarks>
    public async ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!keep.IsEmpty)
        {
            // A keep rides on a step; one without rows carries it.
            await MakeRoomAsync(cancellationToken);
            await SendOrRecoverAsync(new Pending(++_seq, keep.ToArray(), [], [], TruncateTo: -1), cancellationToken);
        }

        await MakeRoomAsync(cancellationToken);
        await SendOrRecoverAsync(new Pending(++_seq, [], [], [], length), cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask<double> PingAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await ReceiveUnaskedAsync(cancellationToken);
            try
            {
                ulong nonce = (ulong)Stopwatch.GetTimestamp();
                long started = Stopwatch.GetTimestamp();
                await Connected.SendAsync(new PingFrame(nonce), _lifetime.Token);
                if (await NextNewAsync(cancellationToken) is not PongFrame pong || pong.Nonce != nonce)
                {
                    throw Broken("the worker did not answer a ping");
                }

                (_stuckSince, _inVain) = (null, 0);
                return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }
            catch (WireException problem) when (IsRecoverable(problem))
            {
                await RecoverAsync(problem, cancellationToken);
            }
        }
    }

    /// <summary>Answers to frames whose sender went on at once: they bring no rows, and stand before those of the steps that followed.</summary>
    private async ValueTask ReceiveUnaskedAsync(CancellationToken cancellationToken)
    {
        while (_pending is [{ Rows.Length: 0 }, ..])
        {
            RowsFrame frame = await ReceiveRowsAsync(cancellationToken);

            // Not looked at before: a replay meanwhile has numbered it anew.
            Pending first = _pending[0];
            if (!frame.RowIds.IsEmpty)
            {
                throw Broken($"the worker returned {frame.RowIds.Length} rows for frame {first.Seq}, which has none");
            }

            Answered(first);
        }
    }

    /// <summary>Waits for such answers when the worker takes no more frames without.</summary>
    private ValueTask MakeRoomAsync(CancellationToken cancellationToken) =>
        _pending.Count >= MaxStepsInFlight ? ReceiveUnaskedAsync(cancellationToken) : ValueTask.CompletedTask;

    private async ValueTask<RowsFrame> ReceiveRowsAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                ulong expected = _pending[0].Seq;
                if (await NextNewAsync(cancellationToken) is not RowsFrame frame)
                {
                    throw Broken($"the worker did not answer step {expected}");
                }

                return frame.Seq == expected ? frame : throw Broken($"the worker answered step {frame.Seq}; step {expected} was next");
            }
            catch (WireException problem) when (problem.Error is { Code: WireErrorCode.Busy, SessionSurvives: true })
            {
                await WaitForRoomAsync(problem, cancellationToken);
            }
            catch (WireException problem) when (IsRecoverable(problem))
            {
                await RecoverAsync(problem, cancellationToken);
            }
        }
    }

    /// <summary>The next frame that is no answer had before: a resumed worker repeats those to the frames sent with the ticket, and no more than that.</summary>
    private async ValueTask<WorkerFrame> NextNewAsync(CancellationToken cancellationToken)
    {
        for (int repeats = 0; repeats <= MaxStepsInFlight; repeats++)
        {
            WorkerFrame frame = await NextAsync(cancellationToken);
            if (frame is not RowsFrame rows || rows.Seq > _received)
            {
                return frame;
            }
        }

        throw Broken($"the worker repeats answers instead of answering step {_received + 1}");
    }

    /// <summary>The next frame. A caller that gives up leaves the receive running for the next caller.</summary>
    private async ValueTask<WorkerFrame> NextAsync(CancellationToken cancellationToken, TimeSpan? patience = null)
    {
        TimeSpan timeout = patience < _options.ReplyTimeout ? patience.Value : _options.ReplyTimeout;
        _receiving ??= ReceiveStampedAsync(Connected);
        WorkerFrame? frame;
        try
        {
            (frame, _arrivedAt) = await _receiving.WaitAsync(timeout, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new WireException(new WireError(
                WireErrorCode.LinkLost, $"the worker was silent for {timeout.TotalSeconds:0} s on an unanswered {(patience is null ? "step" : "ticket")}"));
        }

        _receiving = null;
        return frame switch
        {
            null => throw new WireException(new WireError(WireErrorCode.LinkLost, "the worker ended the stream")),
            ErrorFrame error => throw new WireException(error.Error),
            _ => frame,
        };
    }

    /// <summary>Notes when the frame came: the caller may be drafting at that time.</summary>
    private async Task<(WorkerFrame? Frame, long ArrivedAt)> ReceiveStampedAsync(ILinkStream stream)
    {
        WorkerFrame? frame = await stream.ReceiveAsync(_lifetime.Token);
        return (frame, Stopwatch.GetTimestamp());
    }

    private void Answered(Pending pending)
    {
        _received = pending.Seq;
        _stuckSince = null;
        _inVain = 0;
        _pending.RemoveAt(0);
        if (pending.TruncateTo >= 0)
        {
            _log.Truncate(pending.TruncateTo);
        }
        else
        {
            _log.Apply(pending.Keep, pending.Rows, pending.Payload);
        }
    }

    private static bool Matches(ReadOnlySpan<ulong> ids, TreeRow[] rows)
    {
        if (ids.Length != rows.Length)
        {
            return false;
        }

        for (int i = 0; i < ids.Length; i++)
        {
            if (ids[i] != rows[i].Id)
            {
                return false;
            }
        }

        return true;
    }

    private static WireException Broken(string message) => new(new WireError(WireErrorCode.Malformed, message, SessionSurvives: false));

    /// <summary>A frame that has not been answered: a step, or (TruncateTo at least 0) a truncation.</summary>
    private sealed record Pending(ulong Seq, ulong[] Keep, TreeRow[] Rows, byte[] Payload, int TruncateTo)
    {
        public double CodecMs { get; init; }

        public long SentAt { get; init; } = Stopwatch.GetTimestamp();
    }
}
