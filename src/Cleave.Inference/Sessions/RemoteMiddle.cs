using System.Diagnostics;
using Cleave.Engine;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>Middle layers on a worker, behind a link. Validates everything the worker says: it may be hostile.</summary>
public sealed class RemoteMiddle : IMiddle
{
    private readonly ILinkStream _stream;
    private readonly WorkerDescription _worker;
    private readonly WireType _wireType;
    private readonly int _hiddenSize;
    private readonly CancellationTokenSource _lifetime = new();
    private readonly Queue<Pending> _pending = new();
    private readonly byte[] _payload;
    private readonly float[] _hidden;
    private readonly StepRow[] _rows;
    private Task<(WorkerFrame? Frame, long ArrivedAt)>? _receiving;
    private long _arrivedAt;
    private ulong _seq;
    private ulong _received;

    private RemoteMiddle(ILinkStream stream, WorkerDescription worker, WireType wireType, int hiddenSize)
    {
        _stream = stream;
        _worker = worker;
        _wireType = wireType;
        _hiddenSize = hiddenSize;
        MaxRowsPerStep = Math.Clamp(worker.Limits.MaxRowsPerStep, 1, 4096);
        MaxStepsInFlight = Math.Clamp(worker.Limits.MaxFramesInFlight, 1, 64);
        _payload = new byte[MaxRowsPerStep * ActivationCodec.RowBytes(wireType, hiddenSize)];
        _hidden = new float[MaxRowsPerStep * hiddenSize];
        _rows = new StepRow[MaxRowsPerStep];
    }

    /// <inheritdoc />
    public int MaxRowsPerStep { get; }

    /// <inheritdoc />
    public int MaxStepsInFlight { get; }

    /// <inheritdoc />
    public long BytesUp => _stream.BytesSent;

    /// <inheritdoc />
    public long BytesDown => _stream.BytesReceived;

    /// <inheritdoc />
    public string KernelFingerprint => _worker.KernelFingerprint;

    /// <summary>Opens a session for layers <paramref name="range"/> on the worker behind <paramref name="link"/>.</summary>
    /// <exception cref="WireException">The worker refuses, cannot be reached, or breaks the protocol.</exception>
    public static async Task<RemoteMiddle> OpenAsync(
        ILink link, WorkerDescription worker, LayerRange range, WireType wireType, int hiddenSize, int maxTokens, CancellationToken cancellationToken)
    {
        ILinkStream stream = await link.OpenStreamAsync(cancellationToken);
        try
        {
            await stream.SendAsync(new OpenFrame(ProtocolVersion.Highest, range.Start, range.End, wireType, maxTokens), cancellationToken);
            switch (await stream.ReceiveAsync(cancellationToken))
            {
                case OpenedFrame:
                    return new RemoteMiddle(stream, worker, wireType, hiddenSize);
                case ErrorFrame error:
                    throw new WireException(error.Error);
                default:
                    throw Broken("the worker did not answer the open frame");
            }
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long started = Stopwatch.GetTimestamp();
        int bytes = rows.Length * ActivationCodec.RowBytes(_wireType, _hiddenSize);
        if (!ActivationCodec.TryEncode(_wireType, hidden.Span, _hiddenSize, _payload.AsSpan(0, bytes), out int badRow))
        {
            throw new InferenceException($"the head produced a number that is not finite in row {badRow}; the model file may be damaged (try `cleave inspect`)");
        }

        for (int i = 0; i < rows.Length; i++)
        {
            _rows[i] = new StepRow(rows.Span[i].Id, rows.Span[i].ParentId, RowFlags.Return);
        }

        double codecMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        var ids = new ulong[rows.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = rows.Span[i].Id;
        }

        // Once begun, a frame is sent whole: cancelling halfway would leave the stream unusable.
        _pending.Enqueue(new Pending(++_seq, ids, codecMs, Stopwatch.GetTimestamp()));
        await _stream.SendAsync(
            new StepFrame(_seq, 0, _received, keep, _rows.AsMemory(0, rows.Length), _payload.AsMemory(0, bytes)), _lifetime.Token);
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

            _receiving ??= ReceiveStampedAsync();
            return _receiving.IsCompleted;
        }
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        RowsFrame frame = await ReceiveRowsAsync(cancellationToken);
        Pending pending = _pending.Dequeue();
        double tripMs = Stopwatch.GetElapsedTime(pending.SentAt, _arrivedAt).TotalMilliseconds;
        long started = Stopwatch.GetTimestamp();
        if (frame.RowIds.Length != pending.RowIds.Length || !frame.RowIds.Span.SequenceEqual(pending.RowIds))
        {
            throw Broken($"the worker returned {frame.RowIds.Length} rows for the {pending.RowIds.Length} of step {pending.Seq}, or others than were sent");
        }

        int floats = pending.RowIds.Length * _hiddenSize;
        if (!ActivationCodec.TryDecode(_wireType, frame.Payload.Span, _hiddenSize, _hidden.AsSpan(0, floats), out int badRow))
        {
            throw Broken($"the worker's payload for step {pending.Seq} has a wrong size or a number that is not finite (row {badRow})");
        }

        double codecMs = pending.CodecMs + Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new MiddleReply(
            pending.RowIds, _hidden.AsMemory(0, floats), frame.ComputeMicros / 1000.0, frame.QueueMicros / 1000.0, codecMs, tripMs);
    }

    /// <inheritdoc />
    public async ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        if (!keep.IsEmpty)
        {
            // A keep rides on a step; one without rows carries it.
            await SubmitAsync(keep, default, default, cancellationToken);
            await ReceiveAsync(cancellationToken);
        }

        _pending.Enqueue(new Pending(++_seq, [], 0, Stopwatch.GetTimestamp()));
        await _stream.SendAsync(new TruncateFrame(_seq, _received, length), _lifetime.Token);
        await ReceiveRowsAsync(cancellationToken);
        _pending.Dequeue();
    }

    /// <inheritdoc />
    public async ValueTask<double> PingAsync(CancellationToken cancellationToken)
    {
        ulong nonce = (ulong)Stopwatch.GetTimestamp();
        long started = Stopwatch.GetTimestamp();
        await _stream.SendAsync(new PingFrame(nonce), _lifetime.Token);
        return await NextAsync(cancellationToken) is PongFrame pong && pong.Nonce == nonce
            ? Stopwatch.GetElapsedTime(started).TotalMilliseconds
            : throw Broken("the worker did not answer a ping");
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        try
        {
            using var brief = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await _stream.SendAsync(new CloseFrame(), brief.Token);
        }
        catch (Exception exception) when (exception is WireException or OperationCanceledException or InvalidOperationException)
        {
            // The link is gone; the worker lets the session expire.
        }

        await _lifetime.CancelAsync();
        await _stream.DisposeAsync();
        _lifetime.Dispose();
    }

    private async ValueTask<RowsFrame> ReceiveRowsAsync(CancellationToken cancellationToken)
    {
        ulong expected = _pending.Peek().Seq;
        if (await NextAsync(cancellationToken) is not RowsFrame frame)
        {
            throw Broken($"the worker did not answer step {expected}");
        }

        if (frame.Seq != expected)
        {
            throw Broken($"the worker answered step {frame.Seq}; step {expected} was next");
        }

        _received = frame.Seq;
        return frame;
    }

    /// <summary>The next frame. A caller that gives up leaves the receive running for the next caller.</summary>
    private async ValueTask<WorkerFrame> NextAsync(CancellationToken cancellationToken)
    {
        _receiving ??= ReceiveStampedAsync();
        (WorkerFrame? frame, _arrivedAt) = await _receiving.WaitAsync(cancellationToken);
        _receiving = null;
        return frame switch
        {
            null => throw new WireException(new WireError(WireErrorCode.ShuttingDown, "the worker ended the session", SessionSurvives: false)),
            ErrorFrame error => throw new WireException(error.Error),
            _ => frame,
        };
    }

    /// <summary>Notes when the frame came: the caller may be drafting at that time.</summary>
    private async Task<(WorkerFrame? Frame, long ArrivedAt)> ReceiveStampedAsync()
    {
        WorkerFrame? frame = await _stream.ReceiveAsync(_lifetime.Token);
        return (frame, Stopwatch.GetTimestamp());
    }

    private static WireException Broken(string message) => new(new WireError(WireErrorCode.Malformed, message, SessionSurvives: false));

    private sealed record Pending(ulong Seq, ulong[] RowIds, double CodecMs, long SentAt);
}
