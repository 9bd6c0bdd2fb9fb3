using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Sockets;

namespace Cleave.Endurance.Paths;

/// <summary><c>path</c>: what TCP Fast Open saves, and where it is unwelcome costs, over a path that delays packets.</summary>
internal static class PathCommand
{
    public static Command Create()
    {
        var rtt = new Option<int>("--rtt") { Description = "Round trip in ms", DefaultValueFactory = _ => 200 };
        var fastOpen = new Option<int>("--fast-open") { Description = "net.ipv4.tcp_fastopen on both sides: 1 is Linux's default, 3 lets the server take part", DefaultValueFactory = _ => 3 };
        var drop = new Option<bool>("--drop") { Description = "Lose SYNs that bring data, as some firewalls do" };
        var bytes = new Option<int[]>("--bytes") { Description = "First bytes of each connection, echoed", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [239, 239, 239, FastOpen.SynBytes, FastOpen.SynBytes + 20] };
        var command = new Command("path", "From connect to the echo of the first bytes, between two network namespaces. For Linux, and root") { rtt, fastOpen, drop, bytes };
        command.SetAction(parsed =>
        {
            using var path = new DelayedPath(TimeSpan.FromMilliseconds(parsed.GetValue(rtt)), parsed.GetValue(fastOpen), parsed.GetValue(drop));
            using Socket listener = path.Server.Run(Listen);
            new Thread(() => Serve(listener)) { IsBackground = true }.Start();
            foreach (int count in parsed.GetValue(bytes)!)
            {
                using Socket socket = path.Client.Run(static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
                _ = FastOpen.TryDefer(socket);
                double ms = EchoMs(socket, count);
                string how = FastOpen.CameWithSyn(socket) ? "came with the SYN" : FastOpen.WasDropped(socket) ? "the SYN with data was lost" : "after the handshake";
                Console.Out.WriteLine(FormattableString.Invariant($"{count} bytes echoed after {ms:F0} ms, {ms / parsed.GetValue(rtt):F2} round trips: {how}"));
            }
        });
        return command;
    }

    private static Socket Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(DelayedPath.ServerAddress, 7707));
        FastOpen.Accept(listener, 16);
        listener.Listen(16);
        return listener;
    }

    private static void Serve(Socket listener)
    {
        byte[] buffer = new byte[64 << 10];
        while (true)
        {
            try
            {
                using Socket accepted = listener.Accept();
                accepted.NoDelay = true;
                while (accepted.Receive(buffer) is > 0 and int count)
                {
                    _ = accepted.Send(buffer.AsSpan(0, count));
                }
            }
            catch (Exception over) when (over is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static double EchoMs(Socket socket, int count)
    {
        long started = Stopwatch.GetTimestamp();
        socket.Connect(new IPEndPoint(DelayedPath.ServerAddress, 7707));
        byte[] buffer = new byte[count];
        _ = socket.Send(buffer);
        for (int received = 0; received < count;)
        {
            received += socket.Receive(buffer) is > 0 and int some ? some : throw new SocketException((int)SocketError.ConnectionReset);
        }

        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }
}
