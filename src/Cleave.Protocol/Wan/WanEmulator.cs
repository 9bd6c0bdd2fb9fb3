using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Wan;

/// <summary>
/// A TCP proxy that behaves like a wide-area link: a true delay line each way (bytes under way overlap), bandwidth,
/// jitter, stalls and cuts. It hides what belongs to TCP on a real path: the connections it forwards are loopback ones,
/// so there is no slow start, no loss and no retransmission, and packet headers cost nothing.
/// </summary>
public sealed class WanEmulator : IAsyncDisposable
{
    private const int Backlog = 64;

    private readonly Lock _gate = new();
    private readonly HashSet<WanConnection> _connections = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly Socket _listener;
    private readonly EndPoint _target;
    private readonly WanOptions _options;
    private readonly WanDirection _up;
    private readonly WanDirection _down;
    private readonly Task _cuts;
    private long _cutUntil;
    private long _bytesUp;
    private long _bytesDown;
    private int _connectionCount;

    private WanEmulator(IPEndPoint listen, EndPoint target, WanOptions options)
    {
        _target = target;
        _options = options;
        TimeSpan oneWay = options.Rtt / 2;
        _up = new WanDirection(oneWay, options.Jitter, options.UpBitsPerSecond, options.Seed);
        _down = new WanDirection(oneWay, options.Jitter, options.DownBitsPerSecond, options.Seed + 1);
        _listener = new Socket(listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _listener.Bind(listen);
            FastOpen.Accept(_listener, Backlog);
            _listener.Listen(Backlog);
        }
        catch (SocketException)
        {
            _listener.Dispose();
            throw;
        }

        ListenEndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        new Thread(Accept, 256 << 10) { IsBackground = true, Name = "wan accept" }.Start();
        _cuts = RunCutsAsync();
    }

    /// <summary>Where it listens; the port is a real one even when 0 was asked for.</summary>
    public IPEndPoint ListenEndPoint { get; }

    /// <summary>Bytes delivered towards the target so far.</summary>
    public long BytesUp => Sum(static c => c.BytesUp, ref _bytesUp);

    /// <summary>Bytes delivered from the target so far.</summary>
    public long BytesDown => Sum(static c => c.BytesDown, ref _bytesDown);

    /// <summary>Connections accepted so far.</summary>
    public int ConnectionCount => Volatile.Read(ref _connectionCount);

    /// <summary>Starts forwarding connections made to <paramref name="listen"/> to <paramref name="target"/>.</summary>
    /// <exception cref="SocketException">The address cannot be listened on.</exception>
    public static WanEmulator Start(IPEndPoint listen, EndPoint target, WanOptions options)
    {
        ArgumentNullException.ThrowIfNull(listen);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(options);
        return new WanEmulator(listen, target, options);
    }

    /// <summary>Drops every connection now, with what is under way, and refuses new ones for <paramref name="length"/>.</summary>
    public void CutNow(TimeSpan length)
    {
        WanConnection[] open;
        lock (_gate)
        {
            _cutUntil = Math.Max(_cutUntil, Stopwatch.GetTimestamp() + WanDirection.Ticks(length));
            open = [.. _connections];
        }

        foreach (WanConnection connection in open)
        {
            connection.Abort();
        }
    }

    /// <summary>Delivers nothing for <paramref name="length"/>; connections stay. The task ends with the stall.</summary>
    public Task StallAsync(TimeSpan length, CancellationToken cancellationToken = default)
    {
        long until = Stopwatch.GetTimestamp() + WanDirection.Ticks(length);
        _up.Stall(until);
        _down.Stall(until);
        return Task.Delay(length, cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        CutNow(TimeSpan.FromDays(1));
        await _cuts.ConfigureAwait(false);
        _stopping.Dispose(); // Its flag still reads true afterwards: the accepting thread may yet look.
    }

    private void Accept()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = _listener.Accept();
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                if (_stopping.IsCancellationRequested)
                {
                    return;
                }

                // A connection that was reset before it was accepted, or no descriptor left: try again shortly.
                Thread.Sleep(10);
                continue;
            }

            var connection = new WanConnection(client, Forget);
            bool refused;
            lock (_gate)
            {
                _connectionCount++;
                refused = Stopwatch.GetTimestamp() < _cutUntil || _connections.Count >= _options.MaxConnections;
                _ = _connections.Add(connection);
            }

            if (refused)
            {
                connection.Abort();
                continue;
            }

            new Thread(() => connection.Run(_target, _up, _down, _options.Rtt), 256 << 10) { IsBackground = true, Name = "wan connect" }.Start();
        }
    }

    private void Forget(WanConnection connection)
    {
        lock (_gate)
        {
            if (_connections.Remove(connection))
            {
                _bytesUp += connection.BytesUp;
                _bytesDown += connection.BytesDown;
            }
        }
    }

    private long Sum(Func<WanConnection, long> bytes, ref long ended)
    {
        lock (_gate)
        {
            return ended + _connections.Sum(bytes);
        }
    }

    private async Task RunCutsAsync()
    {
        var clock = Stopwatch.StartNew();
        try
        {
            foreach (WanCut cut in _options.Cuts.OrderBy(static c => c.At))
            {
                TimeSpan left = cut.At - clock.Elapsed;
                if (left > TimeSpan.Zero)
                {
                    await Task.Delay(left, _stopping.Token).ConfigureAwait(false);
                }

                CutNow(cut.Length);
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed before the last cut.
        }
    }
}
