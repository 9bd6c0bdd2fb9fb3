using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>
/// Workers that hold the middle together, each a part of it. Workers of the same part stand in for each other: a hop whose worker is
/// lost goes on at another, as a session on one worker does.
/// </summary>
public sealed class WorkerChain
{
    private int _said;

    private WorkerChain(IReadOnlyList<(LayerRange Range, WorkerRoster Roster)> hops, IReadOnlyList<WorkerDescription> workers)
    {
        Hops = hops;
        Workers = workers;
    }

    /// <summary>Parts in the order of their layers, and who runs each.</summary>
    public IReadOnlyList<(LayerRange Range, WorkerRoster Roster)> Hops { get; }

    /// <summary>What the workers say of themselves, one per hop.</summary>
    public IReadOnlyList<WorkerDescription> Workers { get; }

    /// <summary>Asks every worker which layers it holds, and puts them in a row.</summary>
    /// <param name="links">Ways to the workers, in any order; owned by the caller.</param>
    /// <param name="middle">The layers they have to hold together, none twice.</param>
    /// <param name="check">Compares a worker of some layers with our model.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="WireException">One does not answer or does not fit, or a layer is missing or held by two parts; the message names it.</exception>
    public static async Task<WorkerChain> ConnectAsync(
        IReadOnlyList<ILink> links, LayerRange middle, Func<LayerRange, Action<WorkerDescription>> check, CancellationToken cancellationToken)
    {
        WorkerDescription[] described = await Task.WhenAll(links.Select(async link => await link.DescribeAsync(cancellationToken)));
        var parts = described.Zip(links)
            .GroupBy(static pair => new LayerRange(pair.First.LayerStart, pair.First.LayerEnd))
            .OrderBy(static part => part.Key.Start)
            .ToList();
        int next = middle.Start;
        foreach (var part in parts)
        {
            if (part.Key.Start != next || part.Key.End > middle.End)
            {
                throw Refuse($"{part.First().Second.Name} holds layers {part.Key}, but {(next < middle.End ? $"layers from {next} on" : "no more layers")} were needed next", parts.Select(static p => p.Key), middle);
            }

            next = part.Key.End;
        }

        if (next != middle.End)
        {
            throw Refuse($"nobody holds layers {new LayerRange(next, middle.End)}", parts.Select(static p => p.Key), middle);
        }

        foreach (var (description, _) in parts.SelectMany(static part => part))
        {
            check(new LayerRange(description.LayerStart, description.LayerEnd))(description);
        }

        return new WorkerChain(
            [.. parts.Select(part => (part.Key, new WorkerRoster([.. part.Select(static pair => pair.Second)], check(part.Key)) { HasAnswered = true }))],
            [.. parts.Select(static part => part.First().First)]);
    }

    /// <summary>
    /// Opens a session on every hop. Rows go from worker to worker where all of them can and may; otherwise they pass through this side at
    /// every hop, and an event says why, once for this chain.
    /// </summary>
    /// <param name="options">What to ask for; its range is each hop's own.</param>
    /// <param name="cancellationToken">Gives up; what was opened is closed.</param>
    /// <param name="forward">False passes everything through this side without asking.</param>
    /// <exception cref="WireException">A hop's workers refuse.</exception>
    public async Task<IMiddle> OpenAsync(RemoteMiddleOptions options, CancellationToken cancellationToken, bool forward = true)
    {
        if (!forward || Hops.Count == 1)
        {
            return await OpenThroughHereAsync(options, cancellationToken);
        }

        string? why = WhyNotForwarded();
        if (why is null)
        {
            try
            {
                return await RemoteMiddle.OpenAsync(
                    Hops[0].Roster, options with { Range = Hops[0].Range }, new ChainTail([.. Hops.Skip(1)], options), cancellationToken);
            }
            catch (WireException refused) when (refused.Error.Code == WireErrorCode.NotForwarded)
            {
                why = refused.Message;
            }
        }

        if (Interlocked.Exchange(ref _said, 1) == 0)
        {
            options.Events?.Invoke(new SessionEvent(SessionEventKind.NotForwarded, $"the chain passes through this machine at every hop, a round trip each: {why}"));
        }

        return await OpenThroughHereAsync(options, cancellationToken);
    }

    private async Task<ChainedMiddle> OpenThroughHereAsync(RemoteMiddleOptions options, CancellationToken cancellationToken)
    {
        var hops = new List<RemoteMiddle>();
        try
        {
            foreach ((LayerRange range, WorkerRoster roster) in Hops)
            {
                hops.Add(await RemoteMiddle.OpenAsync(roster, options with { Range = range }, cancellationToken));
            }

            return new ChainedMiddle(hops, options.ReplyTimeout);
        }
        catch
        {
            foreach (RemoteMiddle hop in hops)
            {
                await hop.DisposeAsync();
            }

            throw;
        }
    }

    private string? WhyNotForwarded()
    {
        for (int i = 0; i < Workers.Count; i++)
        {
            if (Workers[i].MaxVersion < ProtocolVersion.Hops)
            {
                return $"the worker of layers {Hops[i].Range} speaks protocol version {Workers[i].MaxVersion}, and rows go from worker to worker from version {ProtocolVersion.Hops} on; update it";
            }

            if (i + 1 < Workers.Count && !Workers[i].Forwards)
            {
                return $"the operator of the worker of layers {Hops[i].Range} has not allowed it to pass rows on (cleave-worker --next-allow HOST:PORT)";
            }
        }

        return null;
    }

    private static WireException Refuse(string what, IEnumerable<LayerRange> held, LayerRange middle) => new(new WireError(
        WireErrorCode.UnsupportedLayers,
        $"the workers make no chain for layers {middle}: {what} (they hold {string.Join(", ", held)}); start them with --layers that follow one another, or cut elsewhere with --head and --tail",
        SessionSurvives: false));
}
