using System.Buffers.Binary;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Hosting;

/// <summary>The caps that concern connections, over real TCP and TLS. After each abuse the next client is served.</summary>
public sealed class TransportDefenceTests
{
    [Fact]
    public async Task Silent_connections_are_bounded_and_do_not_keep_others_out()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { MaxUnauthenticatedConnections = 8, AuthenticationTimeout = TimeSpan.FromMinutes(10), HandshakeTimeout = TimeSpan.FromMinutes(10) });
        var connections = new List<NetworkStream>();
        for (int i = 0; i < 30; i++)
        {
            connections.Add(await served.ConnectAsync());
        }

        // One address may hold half.
        await Eventually.Holds(() => served.Server.Strangers <= 4, "four strangers at most");
        await served.ServesTheNextClientAsync();
        Assert.True(await IsClosedAsync(connections[0]), "the oldest is closed");
        await Eventually.HoldsAsync(async () => await CountClosedAsync(connections) == 30 - 3, "all but three are closed");
    }

    [Fact]
    public async Task A_client_with_a_token_is_no_stranger()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { MaxUnauthenticatedConnections = 2, AuthenticationTimeout = TimeSpan.FromSeconds(2) });
        await using GrpcLink link = served.Link();
        await using TestClient client = await TestClient.OpenAsync(link);
        Assert.Equal(0, served.Server.Strangers);
        for (int i = 0; i < 10; i++)
        {
            try
            {
                await served.ConnectAsync();
            }
            catch (SocketException)
            {
                // One stranger too many, turned away before it knew that it was connected.
            }
        }

        await Task.Delay(2500, TestContext.Current.CancellationToken);
        await client.RunAsync(Steps.Make(served.Width, 1, [(1, 0)]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_without_a_token_has_a_deadline(bool handshakes)
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { AuthenticationTimeout = TimeSpan.FromSeconds(2) });
        Stream stream = handshakes ? await served.HandshakeAsync() : await served.ConnectAsync();
        Assert.True(await IsClosedAsync(stream));
        await Eventually.Holds(() => served.Server.Strangers == 0);
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task A_handshake_has_a_deadline()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { HandshakeTimeout = TimeSpan.FromSeconds(2), AuthenticationTimeout = TimeSpan.FromMinutes(10) });
        NetworkStream half = await served.ConnectAsync();
        await half.WriteAsync(new byte[] { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01 }, TestContext.Current.CancellationToken);
        Assert.True(await IsClosedAsync(half));
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Only_tls_1_3_is_spoken()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => served.HandshakeAsync(SslProtocols.Tls12));
        NetworkStream plain = await served.ConnectAsync();
        await plain.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.True(await IsClosedAsync(plain));
        SslStream tls = await served.HandshakeAsync();
        Assert.Equal(SslProtocols.Tls13, tls.SslProtocol);
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Garbage_after_the_handshake_ends_the_connection()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        foreach (byte[] garbage in (byte[][])[[.. "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8], new byte[4096], [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. new byte[] { 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5, 6 }]])
        {
            SslStream tls = await served.HandshakeAsync();
            await tls.WriteAsync(garbage, TestContext.Current.CancellationToken);
            Assert.True(await IsClosedAsync(tls));
        }

        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Wrong_tokens_end_the_connection()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { MaxWrongTokensPerConnection = 3 });
        using HttpClient http = Client(served);
        var statuses = new List<string>();
        for (int i = 0; i < 12; i++)
        {
            using HttpRequestMessage request = Describe(served, "Bearer wrong" + i);
            try
            {
                using HttpResponseMessage response = await http.SendAsync(request, TestContext.Current.CancellationToken);
                statuses.Add(response.Headers.TryGetValues("grpc-status", out IEnumerable<string>? values) ? values.First() : "none");
            }
            catch (HttpRequestException)
            {
                statuses.Add("closed");
            }
        }

        Assert.All(statuses, status => Assert.Contains(status, new[] { "16", "closed" }));
        Assert.Contains("16", statuses);
        Assert.Contains("closed", statuses);
        await served.ServesTheNextClientAsync();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Bearer ")]
    [InlineData("bearer {0}")]
    [InlineData("Basic {0}")]
    [InlineData("{0}")]
    [InlineData("Bearer {0}A")]
    [InlineData("Bearer {0},Bearer {0}")]
    public async Task Nothing_is_answered_without_a_token(string? header)
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { MaxWrongTokensPerConnection = 100 });
        using HttpClient http = Client(served);
        foreach (string path in new[] { "/cleave.Worker/Describe", "/cleave.Worker/Session", "/", "/metrics" })
        {
            using HttpRequestMessage request = Describe(served, header is null ? null : string.Format(header, served.Alice.Token), path);
            using HttpResponseMessage response = await http.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal("16", response.Headers.GetValues("grpc-status").Single());
            Assert.Empty(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task Connections_per_tenant()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(quota: new TenantQuota { Connections = 2 });
        var links = new List<GrpcLink>();
        for (int i = 0; i < 2; i++)
        {
            links.Add(served.Link());
            await links[i].DescribeAsync(TestContext.Current.CancellationToken);
        }

        await using GrpcLink third = served.Link();
        WireException full = await Assert.ThrowsAsync<WireException>(async () => await third.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.QuotaExceeded, full.Error.Code);
        Assert.Contains("2 connections", full.Message);
        await served.ServesTheNextClientAsync();
        await links[0].DisposeAsync();
        await using GrpcLink fourth = served.Link();
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                await fourth.DescribeAsync(TestContext.Current.CancellationToken);
                return true;
            }
            catch (WireException problem) when (problem.Error.Code == WireErrorCode.QuotaExceeded)
            {
                return false; // The worker has not noticed the first one's end.
            }
        }, "there is room again");
        await links[1].DisposeAsync();
    }

    [Fact]
    public async Task Streams_per_tenant()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(quota: new TenantQuota { Streams = 3 });
        await using GrpcLink link = served.Link();
        var streams = new List<TestClient>();
        for (int i = 0; i < 3; i++)
        {
            streams.Add(await TestClient.OpenAsync(link));
        }

        WireError full = await TestClient.RefusedAsync(link, TestClient.Open());
        Assert.Equal(WireErrorCode.QuotaExceeded, full.Code);
        await served.ServesTheNextClientAsync();
        await streams[0].DisposeAsync();
        await Eventually.HoldsAsync(async () =>
        {
            await using TestClient next = await TestClient.StartAsync(link, TestClient.Open());
            return await next.ReceiveAsync() is OpenedFrame;
        });
    }

    [Fact]
    public async Task A_frame_over_the_limit_is_refused_before_it_is_read()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { MaxFrameBytes = 1 << 20 });
        await using GrpcLink link = served.Link();
        int limit = (await link.DescribeAsync(TestContext.Current.CancellationToken)).Limits.MaxFrameBytes;
        Assert.InRange(limit, 1 << 18, 1 << 20);

        // Honest about being too long.
        await using TestClient client = await TestClient.OpenAsync(link);
        WireException tooLarge = await Assert.ThrowsAsync<WireException>(async () =>
        {
            await client.SendAsync(new StepFrame(1, 0, 0, default, new StepRow[] { new(1, 0, RowFlags.Return) }, new byte[limit]));
            while (await client.ReceiveAsync() is not null)
            {
            }
        });
        Assert.Equal(WireErrorCode.TooLarge, tooLarge.Error.Code);

        // A gRPC length prefix that lies: 2 GB announced, a few bytes sent.
        long before = GC.GetTotalAllocatedBytes();
        using HttpClient http = Client(served);
        byte[] lie = new byte[64];
        BinaryPrimitives.WriteUInt32BigEndian(lie.AsSpan(1), int.MaxValue);
        using HttpRequestMessage request = Describe(served, "Bearer " + served.Alice.Token, "/cleave.Worker/Session", lie);
        using HttpResponseMessage response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        string status = (response.Headers.TryGetValues("grpc-status", out IEnumerable<string>? values) ? values : response.TrailingHeaders.GetValues("grpc-status")).Single();
        Assert.Equal("8", status);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 256 << 20);
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Half_open_streams_end_by_themselves()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { OpenTimeout = TimeSpan.FromSeconds(2) });
        await using GrpcLink link = served.Link();
        await using ILinkStream silent = await link.OpenStreamAsync(TestContext.Current.CancellationToken);
        Assert.Contains("No open frame", Assert.IsType<ErrorFrame>(await silent.ReceiveAsync(TestContext.Current.CancellationToken)).Error.Message);
        Assert.Null(await silent.ReceiveAsync(TestContext.Current.CancellationToken));
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Damaged_frames_end_the_session_and_nothing_else()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        using HttpClient http = Client(served);
        byte[] open = Encode(TestClient.Open());
        var random = new Random(5);
        for (int i = 0; i < 40; i++)
        {
            byte[] step = Encode(Steps.Make(served.Width, 1, Steps.Chain(1, 3, 0)));
            step[random.Next(60)] ^= (byte)(1 << random.Next(8));
            byte[] body = [.. Message(open), .. Message(step[..random.Next(1, step.Length + 1)])];
            using HttpRequestMessage request = Describe(served, "Bearer " + served.Alice.Token, "/cleave.Worker/Session", body);
            using HttpResponseMessage response = await http.SendAsync(request, TestContext.Current.CancellationToken);
            byte[] answer = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            Assert.True(answer.Length >= 5 + 56, "opened, and an answer or an end");
        }

        await served.ServesTheNextClientAsync();
        Assert.InRange(served.Worker.Endpoint.Sessions, 0, 16);
    }

    [Fact]
    public async Task A_stopping_worker_tells_its_clients()
    {
        ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        await using TestClient client = await TestClient.OpenAsync(link);
        Task<WireError> told = client.ErrorAsync();
        await served.DisposeAsync();
        Assert.Equal(WireErrorCode.ShuttingDown, (await told).Code);
    }

    private static HttpClient Client(ServedWorker served) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null },
        EnableMultipleHttp2Connections = false,
    })
    { BaseAddress = new Uri($"https://127.0.0.1:{served.Server.Port}") };

    private static HttpRequestMessage Describe(ServedWorker served, string? authorization, string path = "/cleave.Worker/Describe", byte[]? body = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"https://127.0.0.1:{served.Server.Port}{path}")
        {
            Version = new Version(2, 0),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body ?? new byte[5]),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TryAddWithoutValidation("te", "trailers");
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("authorization", authorization);
        }

        return request;
    }

    private static byte[] Encode(ClientFrame frame)
    {
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        return bytes;
    }

    private static byte[] Message(byte[] frame)
    {
        byte[] message = new byte[5 + frame.Length];
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), frame.Length);
        frame.CopyTo(message, 5);
        return message;
    }

    /// <summary>True once the peer has closed; false when it still has not after a while.</summary>
    private static async Task<bool> IsClosedAsync(Stream stream)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        byte[] buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer, patience.Token) > 0)
            {
            }

            return true;
        }
        catch (IOException)
        {
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static async Task<int> CountClosedAsync(IEnumerable<NetworkStream> streams)
    {
        int closed = 0;
        foreach (NetworkStream stream in streams)
        {
            using var brief = new CancellationTokenSource(50);
            try
            {
                closed += await stream.ReadAsync(new byte[16], brief.Token) == 0 ? 1 : 0;
            }
            catch (IOException)
            {
                closed++;
            }
            catch (OperationCanceledException)
            {
            }
        }

        return closed;
    }
}
