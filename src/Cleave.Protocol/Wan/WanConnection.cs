using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Wan;

/// <summary>A connection through the emulated link: two sockets and a delay line each way.</summary>
internal sealed class WanConnection : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Socket _client;
    private readonly Socket _server;
    private readonly Action<WanConnection> _closed;
    private DelayLine? _up;
    private DelayLine? _down;
    private int _openDirections = 2;
    private bool _isClosed;

    public WanConnection(Socket client, Action<WanConnection> closed)
    {
        _client = client;
        _server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _closed = closed;
        _client.NoDelay = true;
    }

    /// <summary>Bytes delivered to the target.</summary>
    public long BytesUp => _up?.BytesDelivered ?? 0;

    /// <summary>Bytes delivered to the connecting side.</summary>
    public long BytesDown => _down?.BytesDelivered ?? 0;

    /// <summary>
    /// Connects to the target and forwards until both sides are done. The caller's own connect took no time, so the round
    /// trip a TCP handshake costs is charged to its first bytes; not to those that came with the SYN (TCP Fast Open), as many as a packet of
    /// a real path holds.
    /// </summary>
    /// <param name="target">Where to.</param>
    /// <param name="up">Link towards the target.</param>
    /// <param name="down">Link back.</param>
    /// <param name="rtt">Round trip of the handshake.</param>
    public void Run(EndPoint target, WanDirection up, WanDirection down, TimeSpan rtt)
    {
        long accepted = Stopwatch.GetTimestamp();
        long handshakeTicks = WanDirection.Ticks(rtt);
        try
        {
            _server.Connect(target);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            Abort();
            return;
        }

        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            int withSyn = FastOpen.CameWithSyn(_client) ? FastOpen.SynBytes : 0;
            _up = new DelayLine(_client, _server, up, accepted + handshakeTicks + (handshakeTicks / 2), withSyn, DirectionEnded);
            _down = new DelayLine(_server, _client, down, accepted + handshakeTicks, 0, DirectionEnded);
            _up.Start("wan up");
            _down.Start("wan down");
        }
    }

    /// <inheritdoc cref="Abort"/>
    public void Dispose() => Abort();

    /// <summary>Drops everything under way and resets both sockets.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
            _up?.Stop();
            _down?.Stop();
            Reset(_client);
            Reset(_server);
        }

        _closed(this);
    }

    private void DirectionEnded(bool inOrder)
    {
        if (!inOrder)
        {
            Abort();
            return;
        }

        bool both;
        lock (_gate)
        {
            both = --_openDirections == 0 && !_isClosed;
            if (both)
            {
                _isClosed = true;
                _client.Dispose();
                _server.Dispose();
            }
        }

        if (both)
        {
            _closed(this);
        }
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Never connected: closing it is enough.
        }

        socket.Dispose();
    }
}
