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
/// <see cref="WireErrorCode.NextLost"/>, and the trusted side builds another chain from its log. See HopRelay.Attaching.cs for the former.
/// </summary>
internal sealed partial class HopRelay(NextHop hop, LayerRange layers, ILink link, int rowBytes, ServingLimits limits, TimeProvider time, ILogger logger)
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
        bool isTold = false;
        try
        {
            while (!_ended.Task.IsCompleted)
            {
                try
                {
                    stream ??= await ReattachAsync().ConfigureAwait(false);
                    isTold = await ExchangeAsync(stream).ConfigureAwait(false);
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
            isTold = problem.Error.Code is WireErrorCode.UnknownSession or WireErrorCode.Expired;
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
            lock (_lock)
            {
                while (_unanswered.TryDequeue(out RelayedFrame? frame))
                {
                    _session.Discard(frame.Origin);
                }
            }

            if (!isTold)
            {
                await Farewell.SayAsync(link, Ticket(ResumeTicket.NothingMissed), limits.NextRecovery, limits.NextTimeout).ConfigureAwait(false);
            }

            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    private void Lose(string why) =>
        _lost(new WireError(WireErrorCode.NextLost, $"The next worker of the chain, {hop.Address}, was lost: {why}", SessionSurvives: false));

    /// <summary>Passes frames one way and answers the other, until the session ends or the stream does. True when the worker there has closed its own.</summary>
    private async Task<bool> ExchangeAsync(ILinkStream stream)
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
                    return await CloseAsync(stream, sending, receiving).ConfigureAwait(false);
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

    private async Task<bool> CloseAsync(ILinkStream stream, Task sending, Task<WorkerFrame?> receiving)
    {
        using var late = new CancellationTokenSource(s_farewell);
        try
        {
            // What is being sent first; then the end of the stream says that the session there is closed.
            _outbox!.Writer.TryComplete();
            await sending.WaitAsync(late.Token).ConfigureAwait(false);
            await stream.SendAsync(new CloseFrame(), CancellationToken.None).AsTask().WaitAsync(late.Token).ConfigureAwait(false);
            while (await receiving.WaitAsync(late.Token).ConfigureAwait(false) is not null)
            {
                receiving = stream.ReceiveAsync(CancellationToken.None).AsTask();
            }

            return true;
        }
        catch (Exception e) when (e is WireException or OperationCanceledException or InvalidOperationException)
        {
            // It is gone, or does not answer.
            Observe(receiving);
            return false;
        }
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
