using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;

namespace Cleave.Endurance.Paths;

/// <summary>
/// Two network namespaces and the packets between them, each held back for half a round trip: TCP as the kernel does it, over distance. What the
/// link emulator, which forwards bytes, is to be compared with.
/// </summary>
internal sealed class DelayedPath : IDisposable
{
    private readonly BlockingCollection<(long Due, byte[] Packet, int Length)>[] _underWay = [[], []];
    private readonly NetworkNamespace[] _ends;
    private readonly TimeSpan _oneWay;
    private readonly bool _dropsSynData;

    /// <param name="rtt">Round trip.</param>
    /// <param name="fastOpen">Value of net.ipv4.tcp_fastopen on both sides.</param>
    /// <param name="dropsSynData">True to lose every SYN that brings data, as some firewalls do.</param>
    public DelayedPath(TimeSpan rtt, int fastOpen, bool dropsSynData)
    {
        _oneWay = rtt / 2;
        _dropsSynData = dropsSynData;
        _ends = [new NetworkNamespace(ClientAddress, ServerAddress, fastOpen), new NetworkNamespace(ServerAddress, ClientAddress, fastOpen)];
        for (int from = 0; from < 2; from++)
        {
            int end = from;
            new Thread(() => Take(end)) { IsBackground = true }.Start();
            new Thread(() => Deliver(end)) { IsBackground = true, Priority = ThreadPriority.Highest }.Start();
        }
    }

    /// <summary>Addresses of the two ends.</summary>
    public static IPAddress ClientAddress { get; } = IPAddress.Parse("10.99.0.1");

    /// <inheritdoc cref="ClientAddress"/>
    public static IPAddress ServerAddress { get; } = IPAddress.Parse("10.99.0.2");

    /// <summary>The two ends.</summary>
    public NetworkNamespace Client => _ends[0];

    /// <inheritdoc cref="Client"/>
    public NetworkNamespace Server => _ends[1];

    public void Dispose()
    {
        foreach (BlockingCollection<(long, byte[], int)> way in _underWay)
        {
            way.CompleteAdding();
        }

        foreach (NetworkNamespace end in _ends)
        {
            end.Dispose();
        }
    }

    private void Take(int from)
    {
        while (!_underWay[from].IsAddingCompleted)
        {
            byte[] packet = new byte[2048];
            int length = _ends[from].Read(packet);
            if (length <= 0)
            {
                return;
            }

            if (_dropsSynData && BringsDataWithSyn(packet.AsSpan(0, length)))
            {
                continue;
            }

            try
            {
                _underWay[from].Add((Stopwatch.GetTimestamp() + (long)(_oneWay.TotalSeconds * Stopwatch.Frequency), packet, length));
            }
            catch (InvalidOperationException)
            {
                return; // Disposed meanwhile.
            }
        }
    }

    private void Deliver(int from)
    {
        foreach ((long due, byte[] packet, int length) in _underWay[from].GetConsumingEnumerable())
        {
            TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
            if (left > TimeSpan.Zero)
            {
                Thread.Sleep(left);
            }

            _ends[1 - from].Write(packet, length);
        }
    }

    // IPv4 and TCP headers as RFC 791 and RFC 9293 have them.
    private static bool BringsDataWithSyn(ReadOnlySpan<byte> packet)
    {
        if (packet[0] >> 4 != 4 || packet[9] != 6)
        {
            return false;
        }

        int tcp = 4 * (packet[0] & 15);
        const int Syn = 2;
        return (packet[tcp + 13] & Syn) != 0 && packet.Length > tcp + (4 * (packet[tcp + 12] >> 4));
    }
}
