using System.Net.Sockets;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Protocol.Migration;
using Cleave.Protocol.Pairing;
using Grpc.Core;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// A link to a worker over HTTP/2 and TLS 1.3:
/// <list type="number">
/// <item>connect (TCP_NODELAY), within the connect timeout;</item>
/// <item>handshake; the worker's key is compared with the pairing link's fingerprint;</item>
/// <item>only then calls are sent, each with the token.</item>
/// </list>
/// One connection carries all streams. A second one is kept in reserve while there are any (<see cref="ReserveKeeper"/>): after a loss the
/// next call goes over it, or connects again when both are lost.
/// </summary>
public sealed class GrpcLink : ILink
{
    private readonly PairingLink _pairing;
    private readonly GrpcLinkOptions _options;
    private readonly PinnedHandshake _handshake;
    private readonly GrpcLane[] _lanes;
    private readonly ReserveKeeper? _reserve;
    private readonly Metadata _token;
    private readonly Metadata _describing;

    public GrpcLink(PairingLink pairing, GrpcLinkOptions? options = null)
        : this(pairing, WorkerMethods.TokenScheme, options)
    {
    }

    private GrpcLink(PairingLink pairing, string scheme, GrpcLinkOptions? options)
    {
        _pairing = pairing;
        _options = options ?? new GrpcLinkOptions();
        _handshake = new PinnedHandshake(pairing);
        _token = new Metadata { { WorkerMethods.TokenKey, scheme + pairing.Token } };
        _describing = _options.Migrates ? [.. _token, new Metadata.Entry(WorkerMethods.MigrationKey, "1")] : _token;
        Address = HopAddress.Of(pairing);
        var dialer = new Dialer(pairing, _options.FastOpen, _options.Resolve);
        _lanes = [.. Enumerable.Range(0, _options.KeepsReserve ? 2 : 1).Select(_ => new GrpcLane(pairing, dialer, _handshake, _options))];
        _reserve = _options.KeepsReserve ? new ReserveKeeper(_lanes, DescribeAsync, _options) : null;
    }

    /// <inheritdoc />
    public string Name => _pairing.Address;

    /// <inheritdoc />
    public string? Identity => PairingLink.FormatFingerprint(_pairing.Fingerprint.Span);

    /// <inheritdoc />
    public HopAddress? Address { get; init; }

    /// <summary>A worker's link to the next one of a chain: a stream to one session is all it can open.</summary>
    public static GrpcLink To(NextHop hop, GrpcLinkOptions? options = null) =>
        new(new PairingLink(hop.Host, hop.Port, hop.Fingerprint.Span, hop.Ticket.ToSecretString()), WorkerMethods.HopScheme, options ?? new GrpcLinkOptions { KeepsReserve = false });

    /// <inheritdoc />
    public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => DescribeAsync(_reserve?.Best ?? _lanes[0], cancellationToken);

    private async ValueTask<WorkerDescription> DescribeAsync(GrpcLane lane, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_options.DescribeTimeout, _options.TimeProvider);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        byte[] json;
        try
        {
            using AsyncUnaryCall<byte[]> call = lane.Invoker.AsyncUnaryCall(WorkerMethods.Describe, null, new CallOptions(_describing, cancellationToken: linked.Token), []);
            json = await call.ResponseAsync.ConfigureAwait(false);
            Metadata told = await call.ResponseHeadersAsync.ConfigureAwait(false);
            lane.Connection?.Own(MigrationKey.TryParse(told.GetValue(WorkerMethods.MigrationKey)));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Not by our own clock: by the handler's, which is that of connecting.
            throw new WireException(timeout.IsCancellationRequested
                ? new WireError(WireErrorCode.TimedOut, $"The worker at {Name} did not answer within {_options.DescribeTimeout.TotalSeconds:0.###} s.")
                : NotReached());
        }
        catch (RpcException e)
        {
            throw Translate(e, lane);
        }

        return DescriptionCodec.TryRead(json, out WorkerDescription? description, out WireError? error)
            ? description!
            : throw new WireException(error!);
    }

    /// <inheritdoc />
    public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        GrpcLane lane = _reserve?.Best ?? _lanes[0];
        _reserve?.Keep();
        return ValueTask.FromResult<ILinkStream>(new GrpcLinkStream(this, lane, _token));
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (_reserve is not null)
        {
            await _reserve.DisposeAsync().ConfigureAwait(false);
        }

        foreach (GrpcLane lane in _lanes)
        {
            lane.Dispose();
        }
    }

    /// <summary>What a failed call means, in words that name the remedy.</summary>
    internal WireException Translate(RpcException e, GrpcLane lane)
    {
        // The peer's own words are shown only after they were made printable.
        string detail = PrintableText.Clean(e.Status.Detail.Length <= 512 ? e.Status.Detail : e.Status.Detail[..512]);
        WireError error = e.StatusCode switch
        {
            StatusCode.Unauthenticated => new WireError(
                WireErrorCode.Unauthorized,
                $"The worker at {Name} does not know this token: it was revoked, or the pairing link is from before the worker's tokens were renewed.",
                SessionSurvives: false),
            StatusCode.ResourceExhausted when detail.StartsWith("Received message exceeds", StringComparison.Ordinal) => new WireError(
                WireErrorCode.TooLarge,
                $"A frame to or from the worker at {Name} was larger than its receiver takes (here at most {_options.MaxReceiveBytes} bytes).",
                SessionSurvives: false),
            StatusCode.ResourceExhausted => new WireError(WireErrorCode.QuotaExceeded, $"The worker at {Name} refused: {detail}", RetryAfterMs: 1000),
            StatusCode.Unimplemented => new WireError(WireErrorCode.UnsupportedVersion, $"What listens at {Name} is no cleave worker.", SessionSurvives: false),
            _ => TranslateTransport(e, detail),
        };
        if (error.Code == WireErrorCode.LinkLost)
        {
            lane.Doubt();
        }

        return new WireException(error, e);
    }

    private WireError TranslateTransport(RpcException e, string detail)
    {
        for (Exception? cause = e.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case System.Security.Authentication.AuthenticationException when _handshake.Problem is { } problem:
                    return new WireError(WireErrorCode.WrongFingerprint, problem, SessionSurvives: false);
                case System.Security.Authentication.AuthenticationException:
                    return new WireError(WireErrorCode.Unreachable, $"The TLS 1.3 handshake with {Name} failed: {PrintableText.Clean(cause.Message)}");
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused }:
                    return new WireError(WireErrorCode.Unreachable, $"Nothing listens at {Name}: is the worker running, and is its port reachable?");
                case SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData }:
                    return new WireError(WireErrorCode.Unreachable, $"The name {_pairing.Host} does not resolve to an address.");
                case SocketException socket when e.StatusCode == StatusCode.Unavailable && cause.InnerException is null && !IsEstablished(e):
                    return new WireError(WireErrorCode.Unreachable, $"Cannot connect to {Name}: {socket.SocketErrorCode}.");
                case TimeoutException or TaskCanceledException or OperationCanceledException:
                    return NotReached();
            }
        }

        return new WireError(WireErrorCode.LinkLost, $"The link to {Name} was lost ({e.StatusCode}: {detail}).");
    }

    private WireError NotReached() =>
        new(WireErrorCode.TimedOut, $"The worker at {Name} could not be reached within {_options.ConnectTimeout.TotalSeconds:0.###} s.");

    // A socket error inside an HTTP/2 read is a lost link; outside of one the connection never was.
    private static bool IsEstablished(RpcException e)
    {
        for (Exception? cause = e.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            if (cause is IOException)
            {
                return true;
            }
        }

        return false;
    }
}
