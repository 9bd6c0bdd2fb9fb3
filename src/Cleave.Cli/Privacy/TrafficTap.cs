using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.PrivacyLab.Capture;

namespace Cleave.Cli.Privacy;

/// <summary>Stands on the network: passes every byte on, and notes size and time of each TLS record both ways. It reads headers alone.</summary>
internal sealed class TrafficTap : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly EndPoint _target;
    private readonly Lock _lock = new();
    private readonly List<(long At, bool IsUp, int Bytes)> _records = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _running = [];

    private TrafficTap(EndPoint target)
    {
        _target = target;
        _listener = new TcpListener(IPAddress.Loopback, 0);
        _listener.Start();
        _running.Add(AcceptAsync());
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint ListenEndPoint => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Starts passing connections on to <paramref name="target"/>.</summary>
    public static TrafficTap Start(EndPoint target) => new(target);

    /// <summary>Forgets what passed so far: a session begins.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _records.Clear();
        }
    }

    /// <summary>What passed since, times from the first record on.</summary>
    public TrafficTrace End()
    {
        lock (_lock)
        {
            return new TrafficTrace([.. _records.Select(r => new TrafficRecord(Stopwatch.GetElapsedTime(_records[0].At, r.At).TotalMilliseconds, r.IsUp, r.Bytes))]);
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await Task.WhenAll(_running);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stopping.Token);
                lock (_lock)
                {
                    _running.Add(PassAsync(client));
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task PassAsync(Socket client)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await server.ConnectAsync(_target, _stopping.Token);
                await Task.WhenAny(PumpAsync(client, server, isUp: true), PumpAsync(server, client, isUp: false));
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
                // Over; closing both sides tells the other one.
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool isUp)
    {
        // A TLS record: type, version, length (2 bytes), then as many bytes.
        const int Header = 5;
        var buffer = new byte[32 << 10];
        var header = new byte[Header];
        int headerHas = 0;
        int left = 0;
        while (await from.ReceiveAsync(buffer, _stopping.Token) is > 0 and int count)
        {
            long now = Stopwatch.GetTimestamp();
            for (int at = 0; at < count;)
            {
                if (headerHas < Header)
                {
                    header[headerHas++] = buffer[at++];
                    left = headerHas == Header ? BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3)) : 0;
                }

                int taken = Math.Min(left, count - at);
                left -= taken;
                at += taken;
                if (headerHas == Header && left == 0)
                {
                    headerHas = 0;
                    lock (_lock)
                    {
                        _records.Add((now, isUp, Header + BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3))));
                    }
                }
            }

            for (int sent = 0; sent < count;)
            {
                sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _stopping.Token);
            }
        }
    }
}
