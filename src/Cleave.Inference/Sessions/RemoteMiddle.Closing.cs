using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>The end of a session: its worker is told, over the stream there is or, that being lost, over another one later.</summary>
public sealed partial class RemoteMiddle
{
    // Little is waited for, whatever comes of it.
    private static readonly TimeSpan s_brief = TimeSpan.FromSeconds(1);

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (_lifetime.IsCancellationRequested)
        {
            return;
        }

        bool isClosed = await CloseAsync();
        await _lifetime.CancelAsync();
        await DropStreamAsync();
        _lifetime.Dispose();
        if (!isClosed)
        {
            await LeaveBehind(isClosed: false).WaitAsync(s_brief).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Closes the session over the stream it has; false when the worker may not have been told.</summary>
    private async Task<bool> CloseAsync()
    {
        if (_stream is null)
        {
            return false;
        }

        try
        {
            using (var brief = new CancellationTokenSource(s_brief))
            {
                await _stream.SendAsync(new CloseFrame(), brief.Token);
            }

            // From here on anew: in fixed shape the frame leaves when its turn is full, and what follows must not depend on when the answer ended.
            using var late = new CancellationTokenSource(s_brief);

            // The worker ends the stream once the session is closed. Hanging up at once may overtake the frame on its way, and the session would
            // stay behind. Answers still to come are not waited for one by one: there are no more of them than steps, and repeats of those sent
            // with a ticket.
            for (int left = _pending.Count + MaxStepsInFlight; left >= 0; left--)
            {
                if ((await (_receiving ??= ReceiveStampedAsync(_stream)).WaitAsync(late.Token)).Frame is null)
                {
                    return true;
                }

                _receiving = null;
            }
        }
        catch (Exception exception) when (exception is WireException or OperationCanceledException or InvalidOperationException)
        {
            // The link is gone.
        }

        return false;
    }

    /// <summary>
    /// The session is not gone on with. Its worker, unless it has closed the session itself, is told as soon as it can be reached. Ends when that is
    /// done, or given up.
    /// </summary>
    private Task LeaveBehind(bool isClosed)
    {
        ResumeTicket left = new(_sessionId, _secret, ResumeTicket.NothingMissed);
        _sessionId = default;
        _tail?.LeaveBehind();
        return isClosed || left.SessionId.IsEmpty
            ? Task.CompletedTask
            : Farewell.SayAsync(_worker.Link.Bare, Ticket(left), _options.RecoveryTimeout, _options.ResumeTimeout);
    }
}
