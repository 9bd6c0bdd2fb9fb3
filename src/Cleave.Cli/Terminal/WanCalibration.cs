using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Terminal;

/// <summary>How exact the link emulator is here: round trips of a small message through it to an echo on this machine.</summary>
internal static class WanCalibration
{
    private const int RoundTrips = 100;
    private const int MessageBytes = 2048;

    /// <summary>Quantiles of the round trip in milliseconds.</summary>
    internal readonly record struct Result(double AskedMs, double MinMs, double MedianMs, double P95Ms, double MaxMs)
    {
        public override string ToString() => FormattableString.Invariant(
            $"asked {AskedMs:0.###} ms; measured over {RoundTrips} round trips of {MessageBytes} bytes: min {MinMs:F2}, median {MedianMs:F2}, p95 {P95Ms:F2}, max {MaxMs:F2} ms");
    }

    /// <summary>Measures the link described by <paramref name="options"/>.</summary>
    public static async Task<Result> RunAsync(WanOptions options, CancellationToken cancellationToken)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), listener.LocalEndpoint, options);
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(wan.ListenEndPoint);
        using Socket server = await listener.AcceptSocketAsync(cancellationToken);
        server.NoDelay = true;
        var echo = new Thread(() => Echo(server)) { IsBackground = true, Name = "echo" };
        echo.Start();
        return await Task.Run(() => Measure(client, options.Rtt, cancellationToken), cancellationToken);
    }

    private static Result Measure(Socket client, TimeSpan asked, CancellationToken cancellationToken)
    {
        byte[] message = new byte[MessageBytes];
        var milliseconds = new List<double>();
        for (int i = -5; i < RoundTrips; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            client.Send(message);
            Receive(client, message);
            if (i >= 0)
            {
                milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        milliseconds.Sort();
        return new Result(asked.TotalMilliseconds, milliseconds[0], milliseconds[RoundTrips / 2], milliseconds[RoundTrips * 95 / 100], milliseconds[^1]);
    }

    private static void Echo(Socket server)
    {
        byte[] message = new byte[MessageBytes];
        try
        {
            while (Receive(server, message))
            {
                server.Send(message);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The measurement is over.
        }
    }

    private static bool Receive(Socket socket, byte[] message)
    {
        for (int received = 0; received < message.Length;)
        {
            int count = socket.Receive(message.AsSpan(received));
            if (count == 0)
            {
                return false;
            }

            received += count;
        }

        return true;
    }
}
