using System.Diagnostics;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>Opening: a worker is picked and asked for a session, of a chain the others before the first.</summary>
public sealed partial class RemoteMiddle
{
    // A session whose link breaks as it opens is opened again this many times, or for as long as a loss may last where the worker has answered before.
    private const int OpeningRetries = 3;

    /// <summary>Opens a session on the best worker of <paramref name="roster"/>.</summary>
    /// <exception cref="WireException">No worker takes it.</exception>
    public static Task<RemoteMiddle> OpenAsync(WorkerRoster roster, RemoteMiddleOptions options, CancellationToken cancellationToken) =>
        OpenAsync(roster, options, null, cancellationToken);

    /// <summary>The same for the first worker of a chain, which passes rows on to the others.</summary>
    internal static async Task<RemoteMiddle> OpenAsync(WorkerRoster roster, RemoteMiddleOptions options, ChainTail? tail, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        for (int attempt = 0; ; attempt++)
        {
            RemoteMiddle? middle = null;
            try
            {
                Worker worker = await roster.PickAsync(cancellationToken);
                if (tail is not null)
                {
                    await tail.PickAsync(cancellationToken);
                }

                middle = new RemoteMiddle(roster, worker, options, tail);
                await middle.OpenSessionAsync(worker.Link, cancellationToken);
                return middle;
            }
            catch (Exception failed)
            {
                if (middle is not null)
                {
                    await middle.DisposeAsync();
                }

                // A link that broke just now is worth another try; one that never was is not.
                bool over = roster.HasAnswered ? Stopwatch.GetElapsedTime(started) > options.RecoveryTimeout : attempt == OpeningRetries;
                if (failed is not WireException problem || over
                    || !(problem.Error.Code == WireErrorCode.LinkLost || (attempt > 0 && IsRecoverable(problem))))
                {
                    throw;
                }

                if (attempt == 0)
                {
                    options.Events?.Invoke(new SessionEvent(SessionEventKind.LinkLost, $"while the session was being opened: {problem.Message}"));
                }

                await Task.Delay(50 << Math.Min(attempt, 5), cancellationToken);
            }
        }
    }

    /// <summary>Opens a session on the one worker behind <paramref name="link"/>, already described and checked.</summary>
    /// <exception cref="WireException">The worker refuses, cannot be reached, or breaks the protocol.</exception>
    public static async Task<RemoteMiddle> OpenAsync(
        ILink link, WorkerDescription worker, LayerRange range, WireType wireType, int hiddenSize, int maxTokens, CancellationToken cancellationToken)
    {
        var middle = new RemoteMiddle(
            new WorkerRoster([link], SameWorker(worker)), new Worker(link, worker, 0),
            new RemoteMiddleOptions { Range = range, WireType = wireType, HiddenSize = hiddenSize, MaxTokens = maxTokens });
        try
        {
            await middle.OpenSessionAsync(link, cancellationToken);
            return middle;
        }
        catch
        {
            await middle.DisposeAsync();
            throw;
        }
    }

    /// <summary>A worker that came back must hold the layers it held.</summary>
    private static Action<WorkerDescription> SameWorker(WorkerDescription known) => description =>
    {
        if (description.LayerStart != known.LayerStart || !description.LayerHashes.SequenceEqual(known.LayerHashes))
        {
            throw new WireException(new WireError(
                WireErrorCode.UnsupportedLayers,
                $"the worker came back with other layers ({description.LayerStart}..{description.LayerEnd}) than it had ({known.LayerStart}..{known.LayerEnd})",
                SessionSurvives: false));
        }
    };
}
