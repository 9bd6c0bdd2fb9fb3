using System.Threading.Channels;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Protocol.Shaping;

/// <summary>
/// A stream in fixed shape. A turn:
/// <list type="number">
/// <item>the first frame of a turn leaves at once, and starts the tick;</item>
/// <item>at each tick one frame leaves: the next the client has, filled up with dummy rows, or one of dummy rows alone;</item>
/// <item>when the client has nothing more and the turn's frames fill a bucket, the stream falls silent.</item>
/// </list>
/// Row ids and seqs are the stream's own (<see cref="ShapedNumbers"/>); replies come back as if nothing had been added. Turns begin, last some
/// buckets and end in sight of the network, and so do the opening and closing of a session, truncations and pings.
/// </summary>
internal sealed class FixedShapeStream : ILinkStream
{
    private readonly ILinkStream _inner;
    private readonly FrameShape _shape;
    private readonly int _framesInFlight;
    private readonly TimeProvider _time;
    private readonly ShapedNumbers _numbers = new();
    private readonly Channel<Outgoing> _outgoing = Channel.CreateUnbounded<Outgoing>();
    private readonly Channel<WorkerFrame> _incoming = Channel.CreateUnbounded<WorkerFrame>();
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly CancellationTokenSource _gone = new();
    private readonly Task _pumping;
    private Task? _reading;
    private int _rowBytes;
    private int _turnFrames;
    private bool _disposed;

    public FixedShapeStream(ILinkStream inner, FrameShape shape, int framesInFlight, TimeProvider time)
    {
        _inner = inner;
        _shape = shape;
        _framesInFlight = framesInFlight;
        _time = time;
        _pumping = Task.Run(PumpAsync);
    }

    public long BytesSent => _inner.BytesSent;

    public long BytesReceived => _inner.BytesReceived;

    public async ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
    {
        switch (frame)
        {
            case OpenFrame { Resume: not null }:
                // The numbers of the lost stream are gone with it: the client replays to a new session instead.
                _incoming.Writer.TryWrite(new ErrorFrame(new WireError(
                    WireErrorCode.UnknownSession, "A session in fixed shape is not resumed but replayed.", SessionSurvives: true)));
                _outgoing.Writer.TryComplete();
                return;
            case OpenFrame open:
                await SendNowAsync(open with { MaxKvTokens = open.MaxKvTokens + _shape.Rows }, cancellationToken).ConfigureAwait(false);
                return;
            case StepFrame or TruncateFrame or ForkFrame:
                var outgoing = new Outgoing(frame, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                if (!_outgoing.Writer.TryWrite(outgoing))
                {
                    throw Over();
                }

                await outgoing.Sent.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
                return;
            case CloseFrame:
                // A session that closed with its answer would show the network how long the answer was: the turn is filled first, however little
                // patience the caller has.
                _outgoing.Writer.TryComplete();
                await FillTurnAsync().ConfigureAwait(false);
                await SendNowAsync(frame, _gone.Token).ConfigureAwait(false);
                return;
            default:
                await SendNowAsync(frame, cancellationToken).ConfigureAwait(false);
                return;
        }
    }

    public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
    {
        // Replies to dummy frames have to be taken whether or not the client waits for anything.
        _reading ??= Task.Run(ReadAsync, CancellationToken.None);
        try
        {
            return await _incoming.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException e)
        {
            return e.InnerException is WireException problem ? throw problem : null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _outgoing.Writer.TryComplete();
        await _gone.CancelAsync().ConfigureAwait(false);
        await _inner.DisposeAsync().ConfigureAwait(false);
        await Task.WhenAll(_pumping, _reading ?? Task.CompletedTask).ConfigureAwait(false);
        _gone.Dispose();
        _sending.Dispose();
    }

    private async Task PumpAsync()
    {
        Exception? failure = null;
        try
        {
            while (await _outgoing.Reader.WaitToReadAsync(_gone.Token).ConfigureAwait(false))
            {
                await RunTurnAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (_gone.IsCancellationRequested)
        {
            // The client is done.
        }
        catch (Exception e) when (e is WireException or InvalidOperationException)
        {
            failure = e;
        }

        _outgoing.Writer.TryComplete();
        while (_outgoing.Reader.TryRead(out Outgoing? left))
        {
            left.Sent.TrySetException(failure ?? Over());
        }
    }

    /// <summary>Waits for the turn under way, twice as long as it takes at most: a worker that answers no more ends it too.</summary>
    private async Task FillTurnAsync()
    {
        try
        {
            await _pumping.WaitAsync(2 * _shape.Bucket(_turnFrames + 1) * _shape.Tick, _time, _gone.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // Closed as it is.
        }
    }

    private async Task RunTurnAsync()
    {
        using var timer = new PeriodicTimer(_shape.Tick, _time);
        _turnFrames = 0;
        while (true)
        {
            // Past this many unanswered the worker would refuse: wait, as any sender would.
            if (_numbers.Unanswered < _framesInFlight)
            {
                if (_outgoing.Reader.TryRead(out Outgoing? outgoing))
                {
                    _turnFrames += await SendShapedAsync(outgoing).ConfigureAwait(false);
                }
                else if (_turnFrames == _shape.Bucket(_turnFrames) || _rowBytes == 0)
                {
                    return;
                }
                else
                {
                    _turnFrames += await SendStepAsync(new StepFrame(0, 0, 0, default, default, default), default, default).ConfigureAwait(false);
                }
            }

            await timer.WaitForNextTickAsync(_gone.Token).ConfigureAwait(false);
        }
    }

    private async Task<int> SendShapedAsync(Outgoing outgoing)
    {
        try
        {
            int frames = 0;
            switch (outgoing.Frame)
            {
                case StepFrame step:
                    _rowBytes = step.Rows.IsEmpty ? _rowBytes : step.Payload.Length / step.Rows.Length;
                    if (_rowBytes == 0)
                    {
                        // Nothing was ever sent, so there is no row to keep and no size to have.
                        throw new WireException(new WireError(WireErrorCode.Malformed, "The first step of a session has no row."));
                    }

                    // A chain longer than a frame holds goes ahead in frames of its own.
                    ReadOnlyMemory<ulong> keep = step.Keep;
                    for (; keep.Length > _shape.Rows; keep = keep[_shape.Rows..])
                    {
                        frames += await SendStepAsync(new StepFrame(0, step.Epoch, 0, default, default, default), keep[.._shape.Rows], default).ConfigureAwait(false);
                    }

                    frames += await SendStepAsync(step, keep, step.Rows).ConfigureAwait(false);
                    break;
                case TruncateFrame truncate:
                    await SendNowAsync(truncate with { Seq = _numbers.Next(truncate.Seq, 0), Ack = _numbers.Received }, _gone.Token).ConfigureAwait(false);
                    frames = 1;
                    break;
                case ForkFrame fork:
                    await SendNowAsync(fork with { Seq = _numbers.Next(fork.Seq, 0), Ack = _numbers.Received }, _gone.Token).ConfigureAwait(false);
                    frames = 1;
                    break;
            }

            outgoing.Sent.TrySetResult();
            return frames;
        }
        catch (Exception e)
        {
            outgoing.Sent.TrySetException(e);
            throw;
        }
    }

    private async Task<int> SendStepAsync(StepFrame step, ReadOnlyMemory<ulong> keep, ReadOnlyMemory<StepRow> real)
    {
        var rows = new StepRow[_shape.Rows];
        for (int i = 0; i < rows.Length; i++)
        {
            // All rows come back, so that replies have one size too. Dummies hang from the root.
            rows[i] = i < real.Length
                ? new StepRow(_numbers.RowId(real.Span[i].Id), ShapedNumbers.Shifted(real.Span[i].ParentId), real.Span[i].Flags | RowFlags.Return)
                : new StepRow(_numbers.DummyId(), 0, RowFlags.Return | RowFlags.Dummy);
        }

        var payload = new byte[rows.Length * _rowBytes];
        step.Payload.CopyTo(payload);
        var kept = new ulong[keep.Length];
        for (int i = 0; i < kept.Length; i++)
        {
            kept[i] = ShapedNumbers.Shifted(keep.Span[i]);
        }

        var shaped = new StepFrame(_numbers.Next(step.Seq, real.Length), step.Epoch, _numbers.Received, kept, rows, payload)
        {
            PaddingBytes = sizeof(ulong) * (_shape.Rows - kept.Length),
        };
        await SendNowAsync(shaped, _gone.Token).ConfigureAwait(false);
        return 1;
    }

    private async ValueTask SendNowAsync(ClientFrame frame, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _inner.SendAsync(frame, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task ReadAsync()
    {
        Exception? failure = null;
        try
        {
            while (await _inner.ReceiveAsync(_gone.Token).ConfigureAwait(false) is { } frame)
            {
                if (_numbers.Restore(frame, _rowBytes) is { } restored)
                {
                    _incoming.Writer.TryWrite(restored);
                }
            }
        }
        catch (OperationCanceledException) when (_gone.IsCancellationRequested)
        {
            // The client is done.
        }
        catch (WireException e)
        {
            failure = e;
        }

        _incoming.Writer.TryComplete(failure);
        _outgoing.Writer.TryComplete();
    }

    private static WireException Over() => new(new WireError(WireErrorCode.LinkLost, "The stream in fixed shape is over."));

    private sealed record Outgoing(ClientFrame Frame, TaskCompletionSource Sent);
}
