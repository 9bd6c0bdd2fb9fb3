using System.Threading.Channels;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker.Diagnostics;

namespace Cleave.Worker.Chaining;

/// <summary>Taking over the session there, at the beginning and after the link between the two broke.</summary>
internal sealed partial class HopRelay
{
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
        await stream.SendAsync(Ticket(received), CancellationToken.None).ConfigureAwait(false);
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

    private OpenFrame Ticket(ulong received) =>
        new(_session.Version, layers.Start, layers.End, _session.WireType, _maxTokens, new ResumeTicket(hop.SessionId, hop.Secret, received));
}
