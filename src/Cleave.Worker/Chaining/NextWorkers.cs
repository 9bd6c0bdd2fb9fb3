using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;

namespace Cleave.Worker.Chaining;

/// <summary>
/// Which workers this one may pass rows on to, by its operator's word alone: a tenant names the next worker, and must not be able to make
/// this machine connect wherever it likes. Nothing is resolved or connected to before the name has been compared.
/// </summary>
public sealed class NextWorkers
{
    private readonly HashSet<string>? _allowed;
    private readonly Func<NextHop, ILink>? _connect;

    private NextWorkers(HashSet<string>? allowed, Func<NextHop, ILink>? connect)
    {
        _allowed = allowed;
        _connect = connect;
    }

    /// <summary>None: rows go back to whoever sent them.</summary>
    public static NextWorkers None { get; } = new([], null);

    /// <summary>Any at all.</summary>
    /// <param name="connect">The way to one; gRPC when null.</param>
    public static NextWorkers Any(Func<NextHop, ILink>? connect = null) => new(null, connect);

    /// <summary>Those at these addresses, host:port as tenants name them.</summary>
    /// <param name="addresses">As in pairing links; case does not matter.</param>
    /// <param name="connect">The way to one; gRPC when null.</param>
    public static NextWorkers At(IEnumerable<string> addresses, Func<NextHop, ILink>? connect = null) =>
        new(new HashSet<string>(addresses, StringComparer.OrdinalIgnoreCase), connect);

    /// <summary>False when there are none.</summary>
    public bool ArePossible => _allowed is not { Count: 0 };

    /// <summary>True when rows may go there.</summary>
    public bool Allow(NextHop hop) => _allowed?.Contains(hop.Address) ?? true;

    /// <summary>A way there, which takes frames up to a size; nothing is sent yet.</summary>
    internal ILink Connect(NextHop hop, int maxFrameBytes) =>
        _connect?.Invoke(hop) ?? GrpcLink.To(hop, new GrpcLinkOptions { MaxReceiveBytes = maxFrameBytes, KeepsReserve = false });
}
