using System.Diagnostics;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>
/// Recovery. First the same session over a new connection: the worker tells what it has applied, answers again what we
/// have not seen, and gets the frames it has not. If the session (or the worker) is gone: a new session on the best worker,
/// the boundary log played to it, then the unanswered frames. Callers above notice nothing but the time.
/// </summary>
public sealed partial class RemoteMiddle
{
    // A worker's word for how long to wait is taken up to this.
    private const int LongestWaitMs = 5000;

    // Recoveries that lead to no answer may take this many times the time one may take.
    private const int StuckTimeouts = 4;

    // Losses may come in a row; when more than this many recoveries led to no answer, the next ones wait.
    private const int RecoveriesAtOnce = 4;

    private static bool IsRecoverable(WireException problem) => problem.Error.Code is
        WireErrorCode.LinkLost or WireErrorCode.Unreachable or WireErrorCode.TimedOut or WireErrorCode.ShuttingDown
        or WireErrorCode.UnknownSession or WireErrorCode.Expired or WireErrorCode.NextLost;

    private static bool IsSessionGone(WireException problem) =>
        problem.Error.Code is WireErrorCode.UnknownSession or WireErrorCode.Expired or WireErrorCode.NextLost;

    // By its worker's word, so that it need not be told. Another side's, or a guess, is none.
    private static bool IsClosed(WireException problem) => IsSessionGone(problem) && !problem.Error.SessionSurvives;

    // A chain that does not come about at once may, once a worker is back or another one is tried.
    private static bool IsWorthAnotherTry(WireException problem) =>
        IsRecoverable(problem) || problem.Error.Code is WireErrorCode.Busy or WireErrorCode.NotForwarded || IsFullForNow(problem);

    // Streams of lost connections count for a while, and so does a session that is being told of its end.
    private static bool IsFullForNow(WireException problem) => problem.Error is { Code: WireErrorCode.QuotaExceeded, RetryAfterMs: > 0 };

    private async ValueTask SendOrRecoverAsync(Pending pending, CancellationToken cancellationToken)
    {
        _pending.Add(pending);
        try
        {
            await SendAsync(pending);
        }
        catch (WireException problem) when (IsRecoverable(problem))
        {
            await RecoverAsync(problem, cancellationToken); // sends it with the others
        }
    }

    private ValueTask SendAsync(Pending pending) => Connected.SendAsync(FrameOf(pending), _lifetime.Token);

    private ClientFrame FrameOf(Pending pending)
    {
        if (pending.TruncateTo >= 0)
        {
            return new TruncateFrame(pending.Seq, _received, pending.TruncateTo);
        }

        var rows = new StepRow[pending.Rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = new StepRow(pending.Rows[i].Id, pending.Rows[i].ParentId, RowFlags.Return);
        }

        return new StepFrame(pending.Seq, 0, _received, pending.Keep, rows, pending.Payload);
    }

    private async Task RecoverAsync(WireException problem, CancellationToken cancellationToken)
    {
        // A worker that takes the session back each time and then answers nothing would keep us here for ever.
        long started = Stopwatch.GetTimestamp();
        _stuckSince ??= started;
        bool isBusy = problem.Error.Code == WireErrorCode.Busy;
        if (!isBusy && Stopwatch.GetElapsedTime(_stuckSince.Value) > StuckTimeouts * _options.RecoveryTimeout)
        {
            _ = LeaveBehind(IsClosed(problem));
            throw new WireException(problem.Error with { Message = $"the session was continued again and again without an answer: {problem.Message}", SessionSurvives = false }, problem);
        }

        if (!isBusy)
        {
            Tell(new SessionEvent(SessionEventKind.LinkLost, problem.Message));
        }

        await DropStreamAsync();
        if (!isBusy && ++_inVain > RecoveriesAtOnce)
        {
            await Task.Delay(Math.Min(2000, 25 << Math.Min(_inVain - RecoveriesAtOnce, 6)), cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        bool isClosed = IsClosed(problem);
        bool sessionGone = IsSessionGone(problem) || _sessionId.IsEmpty;
        bool nextLost = problem.Error.Code == WireErrorCode.NextLost;
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (!sessionGone)
                {
                    await ResumeAsync(cancellationToken);
                    string how = _stream is { HasMoved: true } ? ", over the reserve carried on" : "";
                    Tell(new SessionEvent(
                        SessionEventKind.Resumed, isBusy ? "the worker has room again" : $"the connection was lost and resumed{how}", Stopwatch.GetElapsedTime(started).TotalMilliseconds, _pending.Count));
                    return;
                }

                _ = LeaveBehind(isClosed);
                isClosed = false;
                int rows = await ReplayAsync(nextLost, cancellationToken);
                Tell(new SessionEvent(
                    SessionEventKind.Replayed, $"the session goes on at {Names}", Stopwatch.GetElapsedTime(started).TotalMilliseconds, rows));
                return;
            }
            catch (WireException again) when (IsWorthAnotherTry(again))
            {
                await DropStreamAsync();
                isClosed = IsClosed(again);
                sessionGone |= IsSessionGone(again);
                nextLost = again.Error.Code is WireErrorCode.NextLost or WireErrorCode.NotForwarded;

                // With another worker at hand, one failed resume is enough.
                sessionGone |= _roster.Count > 1 && again.Error.Code != WireErrorCode.Busy && !IsFullForNow(again);
                if (Stopwatch.GetElapsedTime(started) > _options.RecoveryTimeout)
                {
                    _ = LeaveBehind(isClosed);
                    throw new WireException(again.Error with
                    {
                        Message = $"the session was lost and could not be continued within {_options.RecoveryTimeout.TotalSeconds:0} s: {again.Message}",
                        SessionSurvives = false,
                    }, again);
                }

                // Given up meanwhile, that shows at the top.
                int waitMs = Math.Clamp(again.Error.RetryAfterMs, Math.Min(2000, 25 << Math.Min(attempt, 6)), LongestWaitMs);
                await Task.Delay(waitMs, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                // Whoever asks next goes on from here; a session half replayed is as good as none.
                await DropStreamAsync();
                if (sessionGone)
                {
                    _ = LeaveBehind(isClosed);
                }

                _stuckSince = null;
                _unfinished = new WireError(
                    nextLost ? WireErrorCode.NextLost : sessionGone ? WireErrorCode.UnknownSession : WireErrorCode.LinkLost, $"recovery was given up before it was done: {problem.Message}");
                throw;
            }
        }
    }

    /// <summary>
    /// The worker had no room for a step. The session is whole and the step is not applied: after the time the worker names, the
    /// session is resumed, which sends it and those behind it again.
    /// </summary>
    private async Task WaitForRoomAsync(WireException problem, CancellationToken cancellationToken)
    {
        _stuckSince ??= Stopwatch.GetTimestamp();
        if (Stopwatch.GetElapsedTime(_stuckSince.Value) >= _options.RecoveryTimeout)
        {
            throw new WireException(problem.Error with { Message = $"the worker had no room for {_options.RecoveryTimeout.TotalSeconds:0} s: {problem.Message}" }, problem);
        }

        Tell(new SessionEvent(SessionEventKind.Waiting, $"waiting for room on {_worker.Link.Name}: {problem.Message}"));
        await Task.Delay(Math.Clamp(problem.Error.RetryAfterMs, 50, LongestWaitMs), cancellationToken);
        await RecoverAsync(problem, cancellationToken);
    }

    /// <summary>The same session, a new stream.</summary>
    private async Task ResumeAsync(CancellationToken cancellationToken)
    {
        // 1. Prove the right to it, and learn what the worker has applied. It may have another address by now.
        (ulong applied, ulong ahead) = await ResumeStreamAsync(cancellationToken);
        if (applied < _received || applied > _seq)
        {
            throw Broken($"the worker says it has applied step {applied}; {_received} to {_seq} are possible");
        }

        // 2. Replies to steps up to that one come by themselves; send the others, as far as they did not go out with the ticket.
        foreach (Pending pending in _pending)
        {
            if (pending.Seq > Math.Max(applied, ahead))
            {
                await SendAsync(pending);
            }
        }
    }

    private async Task<(ulong Applied, ulong Ahead)> ResumeStreamAsync(CancellationToken cancellationToken)
    {
        ILink[] addresses = [.. _roster.AddressesOf(_worker.Link)];
        for (int i = 0; ; i++)
        {
            try
            {
                (ulong applied, ulong ahead) = await OpenStreamAsync(addresses[i], new ResumeTicket(_sessionId, _secret, _received), null, cancellationToken);
                _worker = _worker with { Link = addresses[i] };
                return (applied, ahead);
            }
            catch (WireException problem) when (i + 1 < addresses.Length && IsRecoverable(problem))
            {
                await DropStreamAsync();
            }
        }
    }

    private string Names => string.Join(", ", Workers.Select(static worker => worker.Link.Name));

    /// <summary>
    /// Unanswered frames that go out right behind the ticket: those that were lost on their way are answered a round trip sooner, the others
    /// twice. In order, from the first.
    /// </summary>
    private ClientFrame[] FramesAhead(int most)
    {
        int bytes = 0;
        return [.. _pending.Select(FrameOf).TakeWhile(frame => (bytes += FrameCodec.Size(frame)) <= most)];
    }

    private async Task SendAheadAsync(ILinkStream stream, ClientFrame[] frames)
    {
        try
        {
            foreach (ClientFrame frame in frames)
            {
                await stream.SendAsync(frame, _lifetime.Token);
            }
        }
        catch (Exception over) when (over is WireException or OperationCanceledException or InvalidOperationException)
        {
            // The stream is over: what comes instead of the ticket's answer says why.
        }
    }

    /// <summary>Opens a stream and a new session on it, those of the rest of a chain before.</summary>
    private async Task OpenSessionAsync(ILink link, CancellationToken cancellationToken)
    {
        if (_tail is null)
        {
            await OpenStreamAsync(link, null, null, cancellationToken);
            return;
        }

        try
        {
            await OpenStreamAsync(link, null, await _tail.OpenAsync(cancellationToken), cancellationToken);
            await _tail.SettleAsync();
        }
        catch
        {
            await _tail.AbandonAsync();
            throw;
        }
    }

    /// <summary>Opens a stream; returns the last seq the worker has applied, and the last one sent to it with a ticket.</summary>
    private async Task<(ulong Applied, ulong Ahead)> OpenStreamAsync(ILink link, ResumeTicket? resume, NextHop? next, CancellationToken cancellationToken)
    {
        _stream = await link.OpenStreamAsync(cancellationToken);
        await _stream.SendAsync(Ticket(resume) with { Next = next }, cancellationToken);

        // The answer is waited for first: it has a deadline, and on a path that died in silence a send may take for ever.
        ClientFrame[] ahead = resume is null ? [] : FramesAhead(_stream.AheadBytes);
        Task sending = SendAheadAsync(_stream, ahead);
        OpenedFrame opened;
        try
        {
            opened = await NextAsync(cancellationToken, resume is null ? null : _options.ResumeTimeout) as OpenedFrame ?? throw Broken("the worker did not answer the open frame");
        }
        catch (WireException)
        {
            // A stream that is not the session's is nothing to close it over.
            await DropStreamAsync();
            throw;
        }

        if (opened.Version is < ProtocolVersion.Lowest or > ProtocolVersion.Highest)
        {
            throw new WireException(new WireError(
                WireErrorCode.UnsupportedVersion,
                $"the worker at {link.Name} answered in protocol version {opened.Version}; this program speaks {ProtocolVersion.Lowest} to {ProtocolVersion.Highest}: update the older of the two",
                SessionSurvives: false));
        }

        _sessionId = opened.SessionId.ToArray();
        _secret = opened.Secret.ToArray();
        await sending;
        return (opened.ResumedSeq, _received + (ulong)ahead.Length);
    }

    private OpenFrame Ticket(ResumeTicket? resume) =>
        new(ProtocolVersion.Highest, _options.Range.Start, _options.Range.End, _options.WireType, _options.MaxTokens, resume);

    private async ValueTask DropStreamAsync()
    {
        if (_stream is null)
        {
            return;
        }

        _bytesUpBefore += _stream.BytesSent;
        _bytesDownBefore += _stream.BytesReceived;
        Task? receiving = _receiving;
        _receiving = null;
        ILinkStream stream = _stream;
        _stream = null;
        await stream.DisposeAsync();
        _ = receiving?.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>The stream, unless it is gone and nobody waited for another.</summary>
    private ILinkStream Connected => _stream ?? throw new WireException(_unfinished);

    private void Tell(SessionEvent happened) => _options.Events?.Invoke(happened);
}
