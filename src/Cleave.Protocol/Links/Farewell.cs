using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Links;

/// <summary>
/// Ends a session whose link was lost before its worker could be told: over another connection the ticket, and right behind it the close frame.
/// The worker would keep it, and its rows, until it has been idle for long.
/// </summary>
public static class Farewell
{
    // Those to steps that were being computed; a worker that says more than that was told.
    private const int MostAnswers = 256;

    // At once, in this process.
    private static readonly SemaphoreSlim s_turns = new(64, 64);

    /// <summary>Ends when the worker has closed the session or knows it no more, or nobody was reached in time. Throws nothing.</summary>
    /// <param name="link">The way to the worker: a bare one (<see cref="ILink.Bare"/>).</param>
    /// <param name="ticket">What resumes the session (<see cref="ResumeTicket.NothingMissed"/>).</param>
    /// <param name="patience">How long to try.</param>
    /// <param name="once">How long an attempt may take.</param>
    public static async Task SayAsync(ILink link, OpenFrame ticket, TimeSpan patience, TimeSpan once)
    {
        using var over = new CancellationTokenSource(patience);
        for (int attempt = 0; !over.IsCancellationRequested; attempt++)
        {
            using var late = CancellationTokenSource.CreateLinkedTokenSource(over.Token);
            try
            {
                await s_turns.WaitAsync(over.Token).ConfigureAwait(false);
                try
                {
                    late.CancelAfter(once);
                    await SayOnceAsync(link, ticket, late.Token).ConfigureAwait(false);
                    return;
                }
                finally
                {
                    s_turns.Release();
                }
            }
            catch (WireException problem) when (problem.Error.Code is
                WireErrorCode.LinkLost or WireErrorCode.Unreachable or WireErrorCode.TimedOut or WireErrorCode.Busy or WireErrorCode.QuotaExceeded)
            {
                // It may be there again soon.
            }
            catch (OperationCanceledException)
            {
                // Silent for too long.
            }
            catch (Exception done) when (done is WireException or InvalidOperationException)
            {
                // Closed already, or our own side is: the link is disposed.
                return;
            }

            await Task.Delay(Math.Min(2000, 25 << Math.Min(attempt, 6)), over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task SayOnceAsync(ILink link, OpenFrame ticket, CancellationToken cancellationToken)
    {
        ILinkStream stream = await link.OpenStreamAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await stream.SendAsync(ticket, cancellationToken).ConfigureAwait(false);
            await stream.SendAsync(new CloseFrame(), cancellationToken).ConfigureAwait(false);

            // Answers nobody waits for any more, and the end of the stream.
            for (int answers = 0; answers < MostAnswers && await stream.ReceiveAsync(cancellationToken).ConfigureAwait(false) is { } frame; answers++)
            {
                if (frame is ErrorFrame error)
                {
                    throw new WireException(error.Error);
                }
            }
        }
        finally
        {
            await stream.DisposeAsync().ConfigureAwait(false);
        }
    }
}
