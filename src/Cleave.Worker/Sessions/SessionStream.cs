using System.Threading.Channels;
using Cleave.Protocol;
using Cleave.Protocol.Frames;

namespace Cleave.Worker.Sessions;

/// <summary>
/// One stream of a session: its ordered outbox, and the means to end it from elsewhere. Replies enter the outbox without
/// waiting (a session's replies are bounded); answers the reader makes itself (pongs, refusals, repeated replies) wait for
/// room, so a client that floods and does not read stops being read.
/// </summary>
internal sealed class SessionStream : IDisposable
{
    private const int AnswersInOutbox = 32;

    private readonly Channel<(WorkerFrame Frame, bool IsAnswer)> _outbox =
        Channel.CreateUnbounded<(WorkerFrame, bool)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly SemaphoreSlim _answerSlots = new(AnswersInOutbox);
    private readonly CancellationTokenSource _reading;

    public SessionStream(CancellationToken transport) => _reading = CancellationTokenSource.CreateLinkedTokenSource(transport);

    /// <summary>Cancelled when the stream is to end.</summary>
    public CancellationToken Reading => _reading.Token;

    /// <summary>Adds a reply of the session.</summary>
    public void Post(WorkerFrame frame) => _outbox.Writer.TryWrite((frame, false));

    /// <summary>Adds an answer of the reader's own, once there is room.</summary>
    public async ValueTask AnswerAsync(WorkerFrame frame)
    {
        await _answerSlots.WaitAsync(Reading).ConfigureAwait(false);
        _outbox.Writer.TryWrite((frame, true));
    }

    /// <summary>Lets the outbox run empty, after <paramref name="reason"/> if there is one, and stops the reader.</summary>
    public void End(WireError? reason = null)
    {
        if (reason is not null)
        {
            Post(new ErrorFrame(reason));
        }

        if (_outbox.Writer.TryComplete())
        {
            // Not here: the caller may hold a lock, and cancelling runs other people's continuations.
            _ = _reading.CancelAsync();
        }
    }

    /// <summary>Sends what enters the outbox until <see cref="End"/>.</summary>
    public async Task WriteAsync(Func<WorkerFrame, CancellationToken, ValueTask> send, CancellationToken cancellationToken)
    {
        try
        {
            await foreach ((WorkerFrame frame, bool isAnswer) in _outbox.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                await send(frame, cancellationToken).ConfigureAwait(false);
                if (isAnswer)
                {
                    _answerSlots.Release();
                }
            }
        }
        finally
        {
            // Nobody will read what is posted from now on; a broken transport ends the reader too.
            End();
        }
    }

    public void Dispose()
    {
        _reading.Dispose();
        _answerSlots.Dispose();
    }
}
