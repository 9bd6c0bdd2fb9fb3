using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Sockets;
using Cleave.Protocol.Wan;
using Cleave.Worker.Hosting;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Hosting;

/// <summary>The client's link against a real server, and against servers that are not what they should be.</summary>
public sealed class GrpcLinkTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Frames_cross_tls_and_come_back_the_same(string address)
    {
        if (address == "::1" && !Socket.OSSupportsIPv6)
        {
            return;
        }

        await using ServedWorker served = await ServedWorker.StartAsync(address: IPAddress.Parse(address));
        await using GrpcLink link = served.Link();
        Assert.Equal(served.Alice.Address, link.Name);
        WorkerDescription description = await link.DescribeAsync(TestContext.Current.CancellationToken);
        Assert.Equal(served.Worker.Model.LayerHashes, description.LayerHashes);
        await using TestClient client = await TestClient.OpenAsync(link);
        float[] rows = await client.RunAsync(Steps.Make(served.Width, 1, Steps.Chain(1, 40, 0)));
        Assert.Equal(Steps.Alone(served.Worker.Model, [.. Enumerable.Range(1, 40).Select(i => (ulong)i)]), rows[^served.Width..]);
        Assert.Equal(24 + 32 + (40 * (17 + (4 * served.Width))), client.Stream.BytesSent);
        Assert.Equal(56 + 32 + (40 * (8 + (4 * served.Width))), client.Stream.BytesReceived);
        await client.SendAsync(new CloseFrame());
        Assert.Null(await client.ReceiveAsync());

        // What is sent after the end goes nowhere, and the end stays the end.
        await client.SendAsync(new PingFrame(1));
        Assert.Null(await client.ReceiveAsync());
    }

    [Fact]
    public async Task Sessions_come_and_go_as_fast_as_they_like()
    {
        // Twice the streams of a connection, and more, within the seconds that HTTP/2 keeps calls which only one side has ended.
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        for (int i = 0; i < 300; i++)
        {
            await using TestClient client = await TestClient.OpenAsync(link);
            await client.SendAsync(new CloseFrame());
            Assert.Null(await client.ReceiveAsync());
        }
    }

    [Fact]
    public async Task A_session_survives_its_connection()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        int w = served.Width;
        OpenedFrame opened;
        await using (GrpcLink first = served.Link())
        {
            TestClient client = await TestClient.OpenAsync(first);
            opened = client.Opened;
            await client.RunAsync(Steps.Make(w, 1, [(1, 0)]));
            await client.SendAsync(Steps.Make(w, 2, [(2, 1)]));

            // No goodbye: the link is dropped with a reply on its way.
        }

        await using GrpcLink second = served.Link();
        await using TestClient again = await TestClient.StartAsync(second, TestClient.Open(resume: new ResumeTicket(opened.SessionId, opened.Secret, 1)));
        ulong resumed = Assert.IsType<OpenedFrame>(await again.ReceiveAsync()).ResumedSeq;
        if (resumed < 2)
        {
            await again.SendAsync(Steps.Make(w, 2, [(2, 1)], ack: 1));
        }

        Assert.Equal(2ul, (await again.RowsAsync()).Seq);
        Assert.Equal(Steps.Alone(served.Worker.Model, [1, 2, 3]), await again.RunAsync(Steps.Make(w, 3, [(3, 2)], ack: 2)));
    }

    [Fact]
    public async Task A_wrong_token_is_named_so()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using var link = new GrpcLink(new PairingLink(served.Alice.Host, served.Alice.Port, served.Alice.Fingerprint.Span, PairingLink.NewToken()));
        WireException describe = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.Unauthorized, describe.Error.Code);
        Assert.Contains("does not know this token", describe.Message);
        await using ILinkStream stream = await link.OpenStreamAsync(TestContext.Current.CancellationToken);
        WireException session = await Assert.ThrowsAsync<WireException>(async () => await stream.ReceiveAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.Unauthorized, session.Error.Code);
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task A_wrong_key_is_refused_in_the_handshake_and_never_sees_the_token()
    {
        // A server that can do everything a worker can, but has another key, and keeps what it hears.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using ECDsa otherKey = WorkerKey.Create();
        using var certificate = WorkerKey.Certify(otherKey, TimeProvider.System);
        int heard = 0;
        Task impostor = Task.Run(async () =>
        {
            using TcpClient connection = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
            await using var tls = new SslStream(connection.GetStream());
            try
            {
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate,
                    EnabledSslProtocols = SslProtocols.Tls13,
                    ApplicationProtocols = [SslApplicationProtocol.Http2],
                });
                byte[] buffer = new byte[65536];
                heard += await tls.ReadAsync(buffer, TestContext.Current.CancellationToken);
            }
            catch (Exception e) when (e is AuthenticationException or IOException)
            {
            }
        });
        byte[] expected = RandomNumberGenerator.GetBytes(32);
        await using var link = new GrpcLink(new PairingLink("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, expected, PairingLink.NewToken()));
        WireException refused = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken));
        await impostor;
        Assert.Equal((WireErrorCode.WrongFingerprint, false), (refused.Error.Code, refused.Error.SessionSurvives));
        Assert.Contains(PairingLink.FormatFingerprint(expected), refused.Message);
        Assert.Contains(PairingLink.FormatFingerprint(WorkerKey.Fingerprint(otherKey)), refused.Message);
        Assert.Equal(0, heard);
    }

    [Fact]
    public async Task A_key_that_differs_in_one_bit_is_another_key()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        foreach (int bit in new[] { 0, 100, 255 })
        {
            byte[] fingerprint = served.Alice.Fingerprint.ToArray();
            fingerprint[bit / 8] ^= (byte)(1 << (bit % 8));
            await using var link = new GrpcLink(new PairingLink(served.Alice.Host, served.Alice.Port, fingerprint, served.Alice.Token));
            WireException refused = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken));
            Assert.Equal(WireErrorCode.WrongFingerprint, refused.Error.Code);
        }

        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Nobody_there_is_named_so()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        taken.Stop();
        await using var link = new GrpcLink(new PairingLink("127.0.0.1", port, new byte[32], PairingLink.NewToken()));
        WireException refused = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.Unreachable, refused.Error.Code);
        Assert.Contains("Nothing listens at 127.0.0.1:", refused.Message);
        await using ILinkStream stream = await link.OpenStreamAsync(TestContext.Current.CancellationToken);
        WireException again = await Assert.ThrowsAsync<WireException>(async () =>
        {
            await stream.SendAsync(new PingFrame(1), TestContext.Current.CancellationToken);
            await stream.ReceiveAsync(TestContext.Current.CancellationToken);
        });
        Assert.Equal(refused.Message, again.Message);

        await using var nameless = new GrpcLink(new PairingLink("no-such-host.invalid", 1, new byte[32], PairingLink.NewToken()));
        WireException unresolved = await Assert.ThrowsAsync<WireException>(async () => await nameless.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.Unreachable, unresolved.Error.Code);
        Assert.Contains("no-such-host.invalid", unresolved.Message);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_silent_server_is_given_up_on(bool talksPlain)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        Task silent = Task.Run(async () =>
        {
            using TcpClient connection = await listener.AcceptTcpClientAsync(stop.Token);
            if (talksPlain)
            {
                await connection.GetStream().WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), stop.Token);
            }

            await Task.Delay(Timeout.Infinite, stop.Token);
        });
        var options = new GrpcLinkOptions { ConnectTimeout = talksPlain ? TimeSpan.FromSeconds(15) : TimeSpan.FromMilliseconds(300) };
        await using var link = new GrpcLink(new PairingLink("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port, new byte[32], PairingLink.NewToken()), options);
        WireException refused = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(talksPlain ? WireErrorCode.Unreachable : WireErrorCode.TimedOut, refused.Error.Code);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => silent);
    }

    [Fact]
    public async Task A_callers_own_cancellation_stays_a_cancellation()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await link.DescribeAsync(cancelled.Token));
        await using TestClient client = await TestClient.OpenAsync(link);
        using var soon = new CancellationTokenSource(50);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await client.Stream.ReceiveAsync(soon.Token));
    }

    [Fact]
    public async Task A_worker_that_dies_is_a_lost_link()
    {
        ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        await using TestClient client = await TestClient.OpenAsync(link);
        await served.Server.DisposeAsync();
        long started = Stopwatch.GetTimestamp();
        try
        {
            while (await client.ReceiveAsync() is not null)
            {
            }
        }
        catch (WireException lost)
        {
            Assert.Equal(WireErrorCode.LinkLost, lost.Error.Code);
        }

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(15));
        await served.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_worker_that_does_not_come_back_is_named_as_one_that_never_was(bool isSilent)
    {
        // Connecting again may wait for the first bytes to be sent: what is wrong then shows later, in the same words.
        await using ServedWorker served = await ServedWorker.StartAsync();
        WanEmulator front = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, served.Server.Port), new WanOptions());
        IPEndPoint address = front.ListenEndPoint;
        var options = new GrpcLinkOptions { KeepsReserve = false, ConnectTimeout = TimeSpan.FromSeconds(3) };
        await using var link = new GrpcLink(served.Alice.At("127.0.0.1", address.Port), options);
        for (int connection = 1; connection <= 3; connection++)
        {
            // The last of these has been given a cookie, where the host gives out any.
            await DescribeAgainAsync(link);
            front.CutNow(TimeSpan.Zero);
        }

        await front.DisposeAsync();
        using Socket silent = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (isSilent)
        {
            silent.Bind(address);
            FastOpen.Accept(silent, 16);
            silent.Listen(16);
        }

        WireException refused = await Assert.ThrowsAsync<WireException>(() => DescribeAgainAsync(link));
        Assert.Equal(isSilent ? WireErrorCode.TimedOut : WireErrorCode.Unreachable, refused.Error.Code);
        Assert.Contains(isSilent ? $"The worker at {address} could not be reached within 3 s" : $"Nothing listens at {address}:", refused.Message);
    }

    /// <summary>A connection that broke may be noticed only by the call that uses it.</summary>
    private static async Task DescribeAgainAsync(GrpcLink link)
    {
        while (true)
        {
            try
            {
                await link.DescribeAsync(TestContext.Current.CancellationToken);
                return;
            }
            catch (WireException lost) when (lost.Error.Code == WireErrorCode.LinkLost)
            {
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }
        }
    }
}
