using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Sessions;

/// <summary>
/// The workers after the first in a chain whose rows go from worker to worker. Before the first one is asked for a session:
/// <list type="number">
/// <item>a worker is picked for every part;</item>
/// <item>a session is opened on each, the last first, over our own connection and with our own token;</item>
/// <item>each is told, at its opening, where the one after it is and the ticket for that one session.</item>
/// </list>
/// The streams these sessions were opened on end when the worker before takes them over.
/// </summary>
internal sealed class ChainTail(IReadOnlyList<(LayerRange Range, WorkerRoster Roster)> hops, RemoteMiddleOptions options)
{
    private readonly Worker?[] _workers = new Worker?[hops.Count];
    private readonly List<ILinkStream> _opening = [];
    private readonly List<(ILink Link, OpenFrame Ticket)> _opened = [];
    private bool _failed;

    /// <summary>Workers in use, in the order of their layers.</summary>
    public IEnumerable<Worker> Workers => _workers.OfType<Worker>();

    /// <summary>First layer of every part.</summary>
    public IReadOnlyList<int> Starts => [.. hops.Select(static hop => hop.Range.Start)];

    /// <summary>Picks a worker for every part: the one in use as long as it answers, unless no chain came about with it.</summary>
    /// <exception cref="WireException">A part has none.</exception>
    public async Task PickAsync(CancellationToken cancellationToken)
    {
        bool others = _failed;
        _failed = false;
        for (int i = 0; i < hops.Count; i++)
        {
            WorkerRoster roster = hops[i].Roster;
            _workers[i] = _workers[i] is not { } used ? await roster.PickAsync(cancellationToken)
                : others ? await roster.ReplaceAsync(used.Link, cancellationToken)
                : await roster.KeepAsync(used.Link, cancellationToken);
        }
    }

    /// <summary>Opens the sessions; returns what the first worker has to know.</summary>
    /// <exception cref="WireException">A worker refuses, or nobody could tell another one where it is.</exception>
    public async Task<NextHop> OpenAsync(CancellationToken cancellationToken)
    {
        NextHop? next = null;
        for (int i = hops.Count - 1; i >= 0; i--)
        {
            Worker worker = _workers[i]!;
            HopAddress address = worker.Link.Address
                ?? throw new WireException(new WireError(WireErrorCode.NotForwarded, $"the worker at {worker.Link.Name} has no address that another one could use"));
            ILinkStream stream = await worker.Link.OpenStreamAsync(cancellationToken);
            _opening.Add(stream);
            OpenedFrame opened = await OpenAsync(stream, worker, hops[i].Range, next, cancellationToken);
            _opened.Add((worker.Link, new OpenFrame(
                ProtocolVersion.Highest, hops[i].Range.Start, hops[i].Range.End, options.WireType, options.MaxTokens,
                new ResumeTicket(opened.SessionId, opened.Secret, ResumeTicket.NothingMissed))));
            next = new NextHop(
                address.Host, address.Port, address.Fingerprint, hops[i].Range.End, opened.SessionId,
                HopTicket.SecretOf(opened.Secret.Span, new Guid(opened.SessionId.Span)));
        }

        return next!;
    }

    /// <summary>The first worker has its session: it holds the others now.</summary>
    public ValueTask SettleAsync() => HangUpAsync();

    /// <summary>The first worker has none: those opened here are closed, and others tried next time.</summary>
    public async ValueTask AbandonAsync()
    {
        _failed = true;
        await HangUpAsync();
        LeaveBehind();
    }

    /// <summary>The first worker's session is left. It may be gone without having told the others, so they are told from here, in the background.</summary>
    public void LeaveBehind()
    {
        foreach ((ILink link, OpenFrame ticket) in _opened)
        {
            _ = Farewell.SayAsync(link.Bare, ticket, options.RecoveryTimeout, options.ResumeTimeout);
        }

        _opened.Clear();
    }

    private async Task<OpenedFrame> OpenAsync(ILinkStream stream, Worker worker, LayerRange range, NextHop? next, CancellationToken cancellationToken)
    {
        await stream.SendAsync(
            new OpenFrame(ProtocolVersion.Highest, range.Start, range.End, options.WireType, options.MaxTokens) { TakesHop = true, Next = next }, cancellationToken);
        WorkerFrame? answer;
        try
        {
            answer = await stream.ReceiveAsync(cancellationToken).AsTask().WaitAsync(options.ReplyTimeout, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new WireException(new WireError(WireErrorCode.TimedOut, $"the worker at {worker.Link.Name} did not open a session within {options.ReplyTimeout.TotalSeconds:0} s"));
        }

        return answer switch
        {
            OpenedFrame { Version: >= ProtocolVersion.Hops and <= ProtocolVersion.Highest } opened => opened,
            ErrorFrame error => throw new WireException(error.Error),
            _ => throw new WireException(new WireError(WireErrorCode.Malformed, $"the worker at {worker.Link.Name} did not answer the open frame", SessionSurvives: false)),
        };
    }

    private async ValueTask HangUpAsync()
    {
        foreach (ILinkStream stream in _opening)
        {
            await stream.DisposeAsync();
        }

        _opening.Clear();
    }
}
