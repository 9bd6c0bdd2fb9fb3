using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Sockets;
using Cleave.Protocol.Wan;

namespace Cleave.Protocol.Tests.Wan;

/// <summary>
/// The emulator against real sockets. Lower bounds of time are exact; upper bounds are only ever "some attempt out of
/// many", because the machine running this may be busy.
/// </summary>
public sealed class WanEmulatorTests : IDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);
    private readonly EchoServer _echo = new();

    public void Dispose() => _echo.Dispose();

    [Fact]
    public async Task AMessageTakesTheRoundTripAndNotMuchMore()
    {
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(40) });
        var clock = Stopwatch.StartNew();
        using Socket socket = Connect(wan);
        _ = EchoMs(socket, 512);

        // The first also pays for the handshake, which began with the connection.
        Assert.True(clock.Elapsed.TotalMilliseconds >= 80, $"the first answer came {clock.Elapsed.TotalMilliseconds:F2} ms after connecting");
        double[] roundTripsMs = [.. Enumerable.Range(0, 12).Select(_ => EchoMs(socket, 512))];
        Assert.All(roundTripsMs, ms => Assert.True(ms >= 40, $"{ms:F3} ms is less than the link's 40"));
        Assert.True(roundTripsMs.Min() < 50, $"the best of 12 took {roundTripsMs.Min():F2} ms");
    }

    [Theory]
    [InlineData(500, 1)]
    [InlineData(5000, 2)]
    public async Task BytesThatCameWithTheSynDoNotWaitForTheHandshake(int bytes, int roundTrips)
    {
        // A packet's worth of them: what is more arrives a round trip later, as on a real path.
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(100) });
        var tookMs = new List<double>();
        for (int i = 0; i < 6; i++)
        {
            var clock = Stopwatch.StartNew();
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 20_000 };
            bool asks = FastOpen.TryDefer(socket);
            socket.Connect(wan.ListenEndPoint);
            bool deferred = asks && FastOpen.IsDeferred(socket);
            _ = EchoMs(socket, bytes);
            double ms = clock.Elapsed.TotalMilliseconds;
            Assert.Equal(deferred && FastOpenHost.Serves, FastOpen.CameWithSyn(socket));
            int least = FastOpen.CameWithSyn(socket) ? roundTrips : 2;
            Assert.True(ms >= 100 * least, $"the answer came {ms:F2} ms after connecting: {least} round trips are 100 ms each");
            tookMs.Add(ms);
        }

        Assert.True(tookMs.Min() < 100 * ((FastOpenHost.Serves ? roundTrips : 2) + 0.7), $"the best of 6 took {tookMs.Min():F2} ms");
    }

    [Fact]
    public async Task BytesUnderWayOverlap()
    {
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(200) });
        using Socket socket = Connect(wan);
        _ = EchoMs(socket, 1);
        var clock = Stopwatch.StartNew();
        for (int i = 0; i < 30; i++)
        {
            socket.Send([(byte)i]);
            Thread.Sleep(2);
        }

        byte[] received = ReceiveExactly(socket, 30);
        Assert.Equal(Enumerable.Range(0, 30).Select(static i => (byte)i), received);
        Assert.True(clock.ElapsedMilliseconds < 30 * 200 / 2, $"30 messages took {clock.ElapsedMilliseconds} ms: they were delayed one after another");
    }

    [Fact]
    public async Task BytesArriveUnchangedAndInOrderUnderJitter()
    {
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(6), Jitter = TimeSpan.FromMilliseconds(6) });
        using Socket socket = Connect(wan);
        Gen.Int[1, 40_000].Array[1, 12].Sample(
            sizes =>
            {
                byte[] sent = new byte[sizes.Sum()];
                new Random(sizes.Length).NextBytes(sent);
                int offset = 0;
                foreach (int size in sizes)
                {
                    socket.Send(sent.AsSpan(offset, size));
                    offset += size;
                }

                return ReceiveExactly(socket, sent.Length).AsSpan().SequenceEqual(sent);
            },
            iter: 20, threads: 1);
    }

    [Theory]
    [InlineData(40e6, 0)]
    [InlineData(0, 40e6)]
    public async Task BandwidthBoundsEachDirection(double up, double down)
    {
        await using WanEmulator wan = Start(new WanOptions { UpBitsPerSecond = up, DownBitsPerSecond = down });
        using Socket socket = Connect(wan);
        // 1,000,000 bytes at 40 Mbit/s are 200 ms.
        double ms = EchoMs(socket, 1_000_000);
        Assert.InRange(ms, 200, 5000);

        // Bytes count once they are delivered; an echo can overtake the count of the last of them.
        Assert.True(SpinWait.SpinUntil(() => wan.BytesUp == 1_000_000, 5000), $"{wan.BytesUp} bytes are counted");
    }

    [Fact]
    public async Task ConnectionsShareTheBandwidth()
    {
        await using WanEmulator wan = Start(new WanOptions { UpBitsPerSecond = 40e6 });
        using Socket first = Connect(wan);
        using Socket second = Connect(wan);
        var clock = Stopwatch.StartNew();
        Task a = Task.Run(() => EchoMs(first, 500_000));
        Task b = Task.Run(() => EchoMs(second, 500_000));
        await Task.WhenAll(a, b);
        Assert.True(clock.ElapsedMilliseconds >= 200, $"two halves took {clock.ElapsedMilliseconds} ms together");
    }

    [Fact]
    public async Task ACutDropsConnectionsAndRefusesUntilItIsOver()
    {
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(2) });
        using Socket before = Connect(wan);
        _ = EchoMs(before, 10);
        wan.CutNow(TimeSpan.FromSeconds(30));
        Assert.True(IsDead(before));
        using (Socket during = Connect(wan))
        {
            Assert.True(IsDead(during));
        }

        Assert.Equal(2, wan.ConnectionCount);
    }

    [Fact]
    public async Task AfterACutTheLinkServesAgain()
    {
        await using WanEmulator wan = Start(new WanOptions { Cuts = [new WanCut(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(50))] });
        using Socket before = Connect(wan);
        Assert.True(IsDead(before));
        for (int attempt = 0; ; attempt++)
        {
            using Socket again = Connect(wan);
            try
            {
                _ = EchoMs(again, 10);
                return;
            }
            catch (SocketException) when (attempt < 200)
            {
                await Task.Delay(20);
            }
        }
    }

    [Fact]
    public async Task AStallHoldsBytesBackAndLosesNone()
    {
        await using WanEmulator wan = Start(new WanOptions());
        using Socket socket = Connect(wan);
        _ = EchoMs(socket, 1);
        var clock = Stopwatch.StartNew();
        Task stall = wan.StallAsync(TimeSpan.FromMilliseconds(250));
        _ = EchoMs(socket, 100_000);
        double ms = clock.Elapsed.TotalMilliseconds;
        Assert.True(ms >= 250, $"the echo came {ms:F2} ms after the stall began");
        await stall;
    }

    [Fact]
    public async Task ASlowReaderHoldsTheSenderBack()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using WanEmulator wan = WanEmulator.Start(AnyPort, listener.LocalEndpoint, new WanOptions { UpBitsPerSecond = 8e9, Rtt = TimeSpan.FromMilliseconds(1) });
        using Socket sender = Connect(wan);
        using Socket receiver = await listener.AcceptSocketAsync();
        sender.SendTimeout = 500;
        long sent = 0;
        byte[] block = new byte[256 << 10];
        try
        {
            while (sent < 512L << 20)
            {
                sent += sender.Send(block);
            }

            Assert.Fail("half a gigabyte was taken in for a receiver that reads nothing");
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
        }

        // What was taken in is still delivered.
        Assert.Equal(1 << 20, ReceiveExactly(receiver, 1 << 20).Length);
    }

    [Fact]
    public async Task AHalfClosedConnectionStillAnswers()
    {
        await using WanEmulator wan = Start(new WanOptions { Rtt = TimeSpan.FromMilliseconds(5) });
        using Socket socket = Connect(wan);
        socket.Send(new byte[1000]);
        socket.Shutdown(SocketShutdown.Send);
        _ = ReceiveExactly(socket, 1000);
        Assert.Equal(0, socket.Receive(new byte[1]));
    }

    [Fact]
    public async Task AnUnreachableTargetResetsTheConnection()
    {
        using var unused = new TcpListener(IPAddress.Loopback, 0);
        unused.Start();
        EndPoint target = unused.LocalEndpoint;
        unused.Stop();
        await using WanEmulator wan = WanEmulator.Start(AnyPort, target, new WanOptions());
        using Socket socket = Connect(wan);
        Assert.True(IsDead(socket));
    }

    private WanEmulator Start(WanOptions options) => WanEmulator.Start(AnyPort, _echo.EndPoint, options);

    private static Socket Connect(WanEmulator wan)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 20_000 };
        socket.Connect(wan.ListenEndPoint);
        return socket;
    }

    private static double EchoMs(Socket socket, int bytes)
    {
        byte[] data = new byte[bytes];
        long start = Stopwatch.GetTimestamp();
        // Sending and receiving overlap: more than the buffers hold may be under way.
        Task sending = bytes > 100_000 ? Task.Run(() => socket.Send(data)) : Task.FromResult(socket.Send(data));
        _ = ReceiveExactly(socket, bytes);
        double ms = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        Assert.True(sending.Wait(1000));
        return ms;
    }

    private static byte[] ReceiveExactly(Socket socket, int bytes)
    {
        byte[] data = new byte[bytes];
        for (int received = 0; received < bytes;)
        {
            int count = socket.Receive(data.AsSpan(received));
            if (count == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            received += count;
        }

        return data;
    }

    // Reset or ended, rather than merely silent.
    private static bool IsDead(Socket socket)
    {
        try
        {
            return socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode != SocketError.TimedOut;
        }
    }
}
