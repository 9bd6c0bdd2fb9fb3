using Cleave.Protocol.Pairing;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cleave.Protocol.Grpc;

/// <summary>One HTTP/2 connection to a worker: made when first needed, and again after it was lost.</summary>
internal sealed class GrpcLane : IDisposable
{
    private readonly SocketsHttpHandler _handler;
    private readonly GrpcChannel _channel;
    private int _open;
    private volatile bool _doubtful;
    private volatile LaneConnection? _connection;

    public GrpcLane(PairingLink pairing, Dialer dialer, PinnedHandshake handshake, GrpcLinkOptions options)
    {
        _handler = new SocketsHttpHandler
        {
            ConnectTimeout = options.ConnectTimeout,
            ConnectCallback = async (_, cancellationToken) =>
            {
                if (!options.Migrates)
                {
                    return await dialer.DialAsync(Opened, Closed, cancellationToken).ConfigureAwait(false);
                }

                LaneConnection connection = await LaneConnection.DialAsync(dialer, options.MigrationTimeout, Opened, Closed, cancellationToken).ConfigureAwait(false);
                _connection = connection;
                return connection.Stream;
            },
            SslOptions = handshake.Options(),
            InitialHttp2StreamWindowSize = WorkerMethods.StreamWindowBytes,
            KeepAlivePingDelay = options.KeepAliveDelay,
            KeepAlivePingTimeout = options.KeepAliveTimeout,
            KeepAlivePingPolicy = options.KeepsReserve ? HttpKeepAlivePingPolicy.Always : HttpKeepAlivePingPolicy.WithActiveRequests,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            EnableMultipleHttp2Connections = false,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
        };
        _channel = GrpcChannel.ForAddress(
            "https://" + pairing.Address,
            new GrpcChannelOptions
            {
                HttpHandler = _handler,
                DisposeHttpClient = true,
                MaxReceiveMessageSize = options.MaxReceiveBytes,
                MaxSendMessageSize = null,
                CompressionProviders = [],
                ThrowOperationCanceledOnCancellation = true,
            });
        Invoker = _channel.CreateCallInvoker();
    }

    public CallInvoker Invoker { get; }

    /// <summary>Its connection now, or the last one; null where connections do not migrate.</summary>
    public LaneConnection? Connection => _connection;

    /// <summary>Told when its connection is gone or in doubt.</summary>
    public Action? Lost { get; set; }

    /// <summary>True while there is a connection nothing is known against.</summary>
    public bool IsUsable => Volatile.Read(ref _open) > 0 && !_doubtful;

    /// <summary>True while there is no connection: a call makes a new one.</summary>
    public bool IsClosed => Volatile.Read(ref _open) <= 0;

    /// <summary>A call on it was lost: another lane first, until it has proved itself.</summary>
    public void Doubt()
    {
        _doubtful = true;
        Lost?.Invoke();
    }

    /// <summary>A call on it was answered.</summary>
    public void Trust() => _doubtful = false;

    public void Dispose()
    {
        _channel.Dispose();
        _handler.Dispose();
    }

    private void Opened()
    {
        Interlocked.Increment(ref _open);
        _doubtful = false;
    }

    private void Closed()
    {
        Interlocked.Decrement(ref _open);
        Lost?.Invoke();
    }
}
