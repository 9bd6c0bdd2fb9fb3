using System.Diagnostics;
using Cleave.Protocol;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>
/// The workers a session may run on. <see cref="PickAsync"/> asks all of them what they are, and orders those that answer and
/// pass the check by free cache, load and round trip.
/// </summary>
public sealed class WorkerRoster
{
    private readonly IReadOnlyList<ILink> _links;
    private readonly Action<WorkerDescription> _check;

    /// <param name="links">Ways to workers; owned by the caller.</param>
    /// <param name="check">Throws <see cref="WireException"/> (or another refusal) when a worker's word does not fit our model.</param>
    public WorkerRoster(IReadOnlyList<ILink> links, Action<WorkerDescription> check)
    {
        ArgumentOutOfRangeException.ThrowIfZero(links.Count);
        _links = links;
        _check = check;
    }

    /// <summary>True once one of them has answered and fitted: what goes wrong after that is a loss, not a mistake in a link.</summary>
    public bool HasAnswered { get; internal set; }

    /// <summary>Workers known, reachable or not.</summary>
    public int Count => _links.Count;

    /// <summary><paramref name="link"/>, and after it the other links to a worker with the same key: addresses of one worker.</summary>
    public IEnumerable<ILink> AddressesOf(ILink link) =>
        [link, .. _links.Where(other => !ReferenceEquals(other, link) && other.Identity is { } identity && identity == link.Identity)];

    /// <summary>The best worker now.</summary>
    /// <exception cref="WireException">None answers or fits; the message names the reason of the last.</exception>
    public async ValueTask<Worker> PickAsync(CancellationToken cancellationToken)
    {
        Candidate[] candidates = await Task.WhenAll(_links.Select(link => AskAsync(link, cancellationToken)));
        Candidate[] usable = [.. candidates.Where(candidate => candidate.Description is not null)];
        if (usable.Length == 0)
        {
            throw candidates[0].Problem!;
        }

        Candidate best = usable
            .OrderByDescending(candidate => candidate.Description!.Load.KvTokensTotal - candidate.Description.Load.KvTokensUsed > 0)
            .ThenBy(candidate => candidate.TripMs + (candidate.Description!.Load.QueuedRows * 0.1) + candidate.Description.Load.Sessions)
            .First();
        return new Worker(best.Link, best.Description!, best.TripMs);
    }

    /// <summary>The same worker as before if it answers and fits, another otherwise.</summary>
    /// <exception cref="WireException">None answers or fits.</exception>
    public async ValueTask<Worker> KeepAsync(ILink used, CancellationToken cancellationToken)
    {
        Candidate same = await AskAsync(used, cancellationToken, once: true);
        return same.Description is { } description ? new Worker(used, description, same.TripMs) : await ReplaceAsync(used, cancellationToken);
    }

    /// <summary>
    /// A worker to go on at, in haste: of those other than <paramref name="lost"/> the first that answers, fits and has room. Connections
    /// to them were opened when the first was picked, so this is one round trip. The lost one is asked when no other will do.
    /// </summary>
    /// <exception cref="WireException">None answers or fits.</exception>
    public async ValueTask<Worker> ReplaceAsync(ILink lost, CancellationToken cancellationToken)
    {
        Candidate? full = null;
        await foreach (Task<Candidate> answered in Task.WhenEach(_links.Where(link => !ReferenceEquals(link, lost)).Select(link => AskAsync(link, cancellationToken, once: true))))
        {
            Candidate candidate = await answered;
            if (candidate.Description is { Load: var load } description)
            {
                if (load.KvTokensUsed < load.KvTokensTotal)
                {
                    return new Worker(candidate.Link, description, candidate.TripMs);
                }

                full ??= candidate;
            }
        }

        Candidate last = full ?? await AskAsync(lost, cancellationToken, once: true);
        return last.Description is { } fits ? new Worker(last.Link, fits, last.TripMs) : throw last.Problem!;
    }

    private async Task<Candidate> AskAsync(ILink link, CancellationToken cancellationToken, bool once = false)
    {
        try
        {
            // The first call may connect; the second is a round trip.
            if (!once)
            {
                await link.DescribeAsync(cancellationToken);
            }

            long started = Stopwatch.GetTimestamp();
            WorkerDescription description = await link.DescribeAsync(cancellationToken);
            double tripMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            _check(description);
            HasAnswered = true;
            return new Candidate(link, description, tripMs, null);
        }
        catch (WireException problem)
        {
            return new Candidate(link, null, 0, problem);
        }
    }

    private sealed record Candidate(ILink Link, WorkerDescription? Description, double TripMs, WireException? Problem);
}

/// <summary>A worker that answered and fits.</summary>
/// <param name="Link">The way to it.</param>
/// <param name="Description">What it says of itself.</param>
/// <param name="TripMs">Round trip of the description.</param>
public sealed record Worker(ILink Link, WorkerDescription Description, double TripMs);
