using System.Threading.Channels;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Chaining;

/// <summary>
/// A session's way to the next worker of its chain. Frames this worker has done its part of go there, in order and under the same seq;
/// an answer from there is this session's answer. When the link between the two breaks, the session there is resumed and what it has not
/// had is sent again; neither side of the chain notices more than the time. When that fails, the session here ends as
/// <see cref="WireErrorCode.NextLost"/>, and the trusted side builds another chain from its log.
/// </summary>
internal sealed class HopRelay(NextHop hop, LayerRange layers, ILink link, int rowBytes, ServingLimits limits, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Queue<RelayedFrame> _unanswered = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WorkerSession _session = null!;
    private Action<WireError> _lost = static _ => { };
    private int _maxTokens;
    private Channel<ClientFrame>? _outbox;
    private (ulong Nonce, TaskCompletionSource Answered)? _ping;
    private ulong _last;
    private ulong _received;
    private long? _brokenAt;

    /// <summary>Attaches to the session there and begins to pass frames on; null, or why not.</summary>
    /// <param name="session">The session here, which has no stream yet.</param>
    /// <param name="maxTokens">Most rows it may hold.</param>
    /// <param name="lost">Ends the session here.</param>
    /// <param name="cancellationToken">Gives up; the relay is over then.</param>
    public async Task<WireError?> StartAsync(WorkerSession session, int maxTokens, Action<WireError> lost, CancellationToken cancellationToken)
    {
        _session = session;
        _lost = lost;
        _maxTokens = maxTokens;
        ILinkStream? stream = null;
        try
        {
            stream = await link.OpenStreamAsync(cancellationToken).ConfigureAwait(false);
            await AttachAsync(stream).WaitAsync(limits.NextTimeout, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WireException or TimeoutException or OperationCanceledException)
        {
            await DropAsync(stream).ConfigureAwait(false);
            await link.DisposeAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            return new WireError(
                WireErrorCode.NotForwarded,
                $"The next worker, {hop.Address}, cannot be used from here: {(e is WireException problem ? problem.Message : $"it did not answer within {limits.NextTimeout.TotalSeconds:0.###} s.")}",
                SessionSurvives: false);
        }

        WorkerLog.Forwarding(logger, session.Number, hop.Address, layers.Start, layers.End);
        _ = Task.Run(() => RunAsync(stream), CancellationToken.None);
        return null;
    }

    /// <summary>Takes a frame that goes on. Never waits: a session's frames are bounded before they come here.</summary>
    public void Forward(RelayedFrame frame)
    {
        lock (_lock)
        {
            if (!_ended.Task.IsCompleted)
            {
                _last = frame.Seq;
                _unanswered.Enqueue(frame);
                _outbox?.Writer.TryWrite(frame.With(_received));
                return;
            }
        }

        _session.Discard(frame.Origin);
    }

    /// <summary>A ping's way through the rest of the chain. One at a time.</summary>
    public async Task PingAsync(ulong nonce, CancellationToken cancellationToken)
    {
        var answered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _ping = (nonce, answered);
            _outbox?.Writer.TryWrite(new PingFrame(nonce));
        }

        await answered.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The session here is over: so is the one there.</summary>
    public void End() => _ended.TrySetResult();

    private async Task RunAsync(ILinkStream first)
    {
        ILinkStream? stream = first;
        try
        {
            while (!_ended.Task.IsCompleted)
            {
                try
                {
                    stream ??= await ReattachAsync().ConfigureAwait(false);
                    await ExchangeAsync(stream).ConfigureAwait(false);
                }
                catch (WireException problem) when (MayComeBack(problem.Error))
                {
                    await DropAsync(stream).ConfigureAwait(false);
                    stream = null;
                    await PauseAsync(problem.Error).ConfigureAwait(false);
                }
            }
        }
        catch (WireException problem)
        {
            Lose(problem.Message);
        }
        catch (Exception fault) when (fault is not OutOfMemoryException)
        {
            // A fault of this worker: the session must not wait for ever for its frames.
            WorkerLog.RelayFailed(logger, fault, _session.Number, hop.Address);
            Lose("this worker failed while passing frames on.");
        }
        finally
        {
            End();
            await DropAsync(stream).ConfigureAwait(false);
            await link.DisposeAsync().ConfigureAwait(false);
            lock (_lock)
            {
                while (_unanswered.TryDequeue(out RelayedFrame? frame))
                {
                    _session.Discard(frame.Origin);
                }
            }
        }
    }

    private void Lose(string why) =>
        _lost(new WireError(WireErrorCode.NextLost, $"The next worker of the chain, {hop.Address}, was lost: {why}", SessionSurvives: false));

    /// <summary>Passes frames one way and answers the other, until the session ends or the stream does.</summary>
    private async Task ExchangeAsync(ILinkStream stream)
    {
        using var stop = new CancellationTokenSource();
        Task sending = SendAsync(stream, _outbox!.Reader);
        Task watching = WatchAsync(stop.Token);
        try
        {
            while (true)
            {
                Task<WorkerFrame?> receiving = stream.ReceiveAsync(CancellationToken.None).AsTask();
                Task first = await Task.WhenAny(receiving, sending, watching, _ended.Task).ConfigureAwait(false);
                if (first == _ended.Task)
                {
                    await FarewellAsync(stream, sending, receiving).ConfigureAwait(false);
                    return;
                }

                if (first != receiving)
                {
                    Observe(receiving);
                    await first.ConfigureAwait(false);
                }

                Take(await receiving.ConfigureAwait(false));
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            Observe(watching);
            Observe(sending);
        }
    }

    private void Take(WorkerFrame? frame)
    {
        switch (frame)
        {
            case RowsFrame rows when rows.Seq <= _received:
                // Sent again after a resume.
                break;
            case RowsFrame rows:
                RelayedFrame? asked;
                lock (_lock)
                {
                    if (!_unanswered.TryPeek(out asked) || asked.Seq != rows.Seq)
                    {
                        throw Broken($"it answered frame {rows.Seq} when {_received + 1} was next");
                    }

                    _unanswered.Dequeue();
                    _received = rows.Seq;
                    _brokenAt = null;
                }

                RowsFrame? answer = asked.Answer(rows, rowBytes);
                if (answer is null)
                {
                    _session.Discard(asked.Origin);
                    throw Broken($"its answer to frame {rows.Seq} has {rows.RowIds.Length} rows and {rows.Payload.Length} bytes; {asked.Returned} rows were asked for");
                }

                _session.Complete(asked.Origin, answer);
                break;
            case PongFrame pong:
                lock (_lock)
                {
                    if (_ping is { } ping && ping.Nonce == pong.Nonce)
                    {
                        ping.Answered.TrySetResult();
                        _ping = null;
                    }
                }

                break;
            case ErrorFrame error:
                throw new WireException(error.Error);
            case null:
                throw new WireException(new WireError(WireErrorCode.LinkLost, "it ended the stream"));
            default:
                throw Broken("it opened a session twice");
        }
    }

    private async Task<ILinkStream> ReattachAsync()
    {
        ILinkStream stream = await link.OpenStreamAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            int again = await AttachAsync(stream).WaitAsync(limits.NextTimeout, time).ConfigureAwait(false);
            WorkerLog.NextResumed(logger, _session.Number, hop.Address, again);
            return stream;
        }
        catch (Exception e)
        {
            await DropAsync(stream).ConfigureAwait(false);
            throw e is TimeoutException ? new WireException(new WireError(WireErrorCode.TimedOut, $"it did not answer within {limits.NextTimeout.TotalSeconds:0.###} s"), e) : e;
        }
    }

    /// <summary>Takes the session there over, sends what it may not have had along, and queues what it has not. Returns how many frames were sent again.</summary>
    private async Task<int> AttachAsync(ILinkStream stream)
    {
        ulong received = _received;
        await stream.SendAsync(
            new OpenFrame(_session.Version, layers.Start, layers.End, _session.WireType, _maxTokens, new ResumeTicket(hop.SessionId, hop.Secret, received)), CancellationToken.None).ConfigureAwait(false);
        ulong ahead = await SendAheadAsync(stream, received).ConfigureAwait(false);
        OpenedFrame opened = await stream.ReceiveAsync(CancellationToken.None).ConfigureAwait(false) switch
        {
            OpenedFrame answer => answer,
            ErrorFrame error => throw new WireException(error.Error),
            _ => throw Broken("it did not answer the open frame"),
        };
        lock (_lock)
        {
            if (opened.ResumedSeq < received || opened.ResumedSeq > _last)
            {
                throw Broken($"it says it has frame {opened.ResumedSeq}; {received} to {_last} are possible");
            }

            _outbox = Channel.CreateUnbounded<ClientFrame>(new UnboundedChannelOptions { SingleReader = true });
            int again = 0;
            foreach (RelayedFrame frame in _unanswered)
            {
                if (frame.Seq > Math.Max(opened.ResumedSeq, ahead))
                {
                    _outbox.Writer.TryWrite(frame.With(received));
                }

                again += frame.Seq > opened.ResumedSeq ? 1 : 0;
            }

            if (_ping is { } ping)
            {
                _outbox.Writer.TryWrite(new PingFrame(ping.Nonce));
            }

            // With frames unanswered it is mended once one is.
            _brokenAt = _unanswered.Count == 0 ? null : _brokenAt;
            return again;
        }
    }

    /// <summary>Unanswered frames right behind the ticket, as far as they are small: the lost ones are answered a round trip sooner. Returns the last one's seq.</summary>
    private async Task<ulong> SendAheadAsync(ILinkStream stream, ulong received)
    {
        RelayedFrame[] frames;
        lock (_lock)
        {
            frames = RelayedFrame.Ahead(_unanswered);
        }

        try
        {
            foreach (RelayedFrame frame in frames)
            {
                await stream.SendAsync(frame.With(received), CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (WireException)
        {
            // The stream is over: what comes instead of the ticket's answer says why.
        }

        return frames is [.., var last] ? last.Seq : received;
    }

    private static async Task SendAsync(ILinkStream stream, ChannelReader<ClientFrame> frames)
    {
        await foreach (ClientFrame frame in frames.ReadAllAsync().ConfigureAwait(false))
        {
            await stream.SendAsync(frame, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Ends, with an exception, when a frame has been without an answer for too long.</summary>
    private async Task WatchAsync(CancellationToken stop)
    {
        while (true)
        {
            await Task.Delay(limits.NextSilence / 4, time, stop).ConfigureAwait(false);
            lock (_lock)
            {
                if (_unanswered.TryPeek(out RelayedFrame? oldest)
                    && (_brokenAt is { } broken ? time.GetElapsedTime(broken) > limits.NextRecovery : time.GetElapsedTime(oldest.At) > limits.NextSilence))
                {
                    throw new WireException(new WireError(WireErrorCode.LinkLost, $"it was silent for {limits.NextSilence.TotalSeconds:0.###} s"));
                }
            }
        }
    }

    private async Task FarewellAsync(ILinkStream stream, Task sending, Task<WorkerFrame?> receiving)
    {
        try
        {
            // What is being sent first; then the end of the stream says that the session there is closed.
            _outbox!.Writer.TryComplete();
            await sending.WaitAsync(s_farewell).ConfigureAwait(false);
            await stream.SendAsync(new CloseFrame(), CancellationToken.None).AsTask().WaitAsync(s_farewell).ConfigureAwait(false);
            while (await receiving.WaitAsync(s_farewell).ConfigureAwait(false) is not null)
            {
                receiving = stream.ReceiveAsync(CancellationToken.None).AsTask();
            }
        }
        catch (Exception e) when (e is WireException or TimeoutException or InvalidOperationException)
        {
            // It is gone, or does not answer: the session there expires.
            Observe(receiving);
        }
    }

    private async Task PauseAsync(WireError problem)
    {
        long now = time.GetTimestamp();
        lock (_lock)
        {
            if (_brokenAt is null)
            {
                _brokenAt = now;
                WorkerLog.NextBroken(logger, _session.Number, hop.Address, problem.Message);
            }
            else if (time.GetElapsedTime(_brokenAt.Value, now) > limits.NextRecovery)
            {
                throw new WireException(problem with { Message = $"it did not come back within {limits.NextRecovery.TotalSeconds:0.###} s: {problem.Message}" });
            }
        }

        await Task.WhenAny(_ended.Task, Task.Delay(TimeSpan.FromMilliseconds(Math.Clamp(problem.RetryAfterMs, 10, 2000)), time)).ConfigureAwait(false);
    }

    private async ValueTask DropAsync(ILinkStream? stream)
    {
        lock (_lock)
        {
            _outbox?.Writer.TryComplete();
            _outbox = null;
        }

        if (stream is not null)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Where nothing listens any more the session is gone as well; the trusted side may know another worker.
    private static bool MayComeBack(WireError problem) => problem.Code is WireErrorCode.LinkLost or WireErrorCode.TimedOut
        || problem is { Code: WireErrorCode.Busy, SessionSurvives: true };

    private static WireException Broken(string message) => new(new WireError(WireErrorCode.Malformed, message, SessionSurvives: false));

    private static void Observe(Task task) =>
        _ = task.ContinueWith(static ended => ended.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
}
