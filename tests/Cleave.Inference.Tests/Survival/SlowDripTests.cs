using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Worker;
using Cleave.Worker.Hosting;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A peer that sends one byte at a time, for ever: it keeps its connection, answers pings, and never finishes a frame.</summary>
public sealed class SlowDripTests
{
    private const int Width = 4;
    private static readonly string s_token = PairingLink.NewToken();
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    [Theory]
    [InlineData(false, "silent")]
    [InlineData(true, "again and again")]
    public async Task A_worker_that_drips_is_given_up(bool opens, string says)
    {
        using ECDsa key = WorkerKey.Create();
        await using WebApplication worker = await DripAsync(key, opens);
        await using var link = new GrpcLink(Link(key, new Uri(worker.Urls.First()).Port), new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero });
        long started = Stopwatch.GetTimestamp();
        WireException given = await Assert.ThrowsAsync<WireException>(async () =>
        {
            await using RemoteMiddle middle = await RemoteMiddle.OpenAsync(
                new WorkerRoster([new DescribedLink(link)], static _ => { }),
                new RemoteMiddleOptions
                {
                    Range = new LayerRange(1, 2),
                    HiddenSize = Width,
                    MaxTokens = 64,
                    RecoveryTimeout = TimeSpan.FromSeconds(1),
                    ReplyTimeout = TimeSpan.FromSeconds(2),
                },
                TestContext.Current.CancellationToken);
            await middle.SubmitAsync(default, new TreeRow[] { new(1, 0) }, new float[Width], TestContext.Current.CancellationToken);
            await middle.ReceiveAsync(TestContext.Current.CancellationToken);
        });
        Assert.Contains(says, given.Message, StringComparison.Ordinal);

        // Its frame would have taken for ever.
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task A_client_that_drips_loses_its_session_and_costs_nobody_else_anything()
    {
        using ECDsa key = WorkerKey.Create();
        using var device = new CpuDevice(threads: 1);
        using WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.DraftPath), device, new LayerRange(1, 2), 256);
        string other = PairingLink.NewToken();
        var tenants = new TenantTable();
        tenants.Replace([
            new Tenant("alice", TenantTable.HashToken(s_token), new TenantQuota { Sessions = 4 }, default),
            new Tenant("bob", TenantTable.HashToken(other), new TenantQuota(), default),
        ]);
        var limits = new ServingLimits { IdleTimeout = TimeSpan.FromMilliseconds(800), OpenTimeout = TimeSpan.FromMilliseconds(800) };
        await using var endpoint = new WorkerEndpoint(model, tenants, limits);
        await using WorkerServer server = await WorkerServer.StartAsync(
            endpoint, WorkerKey.Certify(key, TimeProvider.System), new IPEndPoint(IPAddress.Loopback, 0), limits, cancellationToken: TestContext.Current.CancellationToken);

        // Three drip the open frame, three a step after a proper open frame.
        byte[] open = Message(new OpenFrame(ProtocolVersion.Highest, 1, 2, WireType.F32, 64));
        int width = model.Config.HiddenSize;
        byte[] step = Message(new StepFrame(1, 0, 0, default, new StepRow[] { new(1, 0, RowFlags.Return) }, new byte[4 * width]));
        using var http = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null } });
        Task<byte[]>[] dripping = [.. Enumerable.Range(0, 6).Select(i => PostAsync(http, server.Port, i < 3 ? [] : open, i < 3 ? open : step))];

        // Meanwhile the other tenant computes as if nothing were.
        await using (var link = new GrpcLink(new PairingLink("127.0.0.1", server.Port, WorkerKey.Fingerprint(key), other)))
        {
            WorkerDescription described = await link.DescribeAsync(TestContext.Current.CancellationToken);
            await using RemoteMiddle middle = await RemoteMiddle.OpenAsync(link, described, new LayerRange(1, 2), WireType.F32, width, 64, TestContext.Current.CancellationToken);
            for (ulong id = 1; id <= 20; id++)
            {
                await middle.SubmitAsync(id == 1 ? Array.Empty<ulong>() : [id - 1], new TreeRow[] { new(id, id - 1) }, new float[width], TestContext.Current.CancellationToken);
                Assert.Equal(1, (await middle.ReceiveAsync(TestContext.Current.CancellationToken)).RowIds.Length);
            }
        }

        // Every dripping stream is ended by the worker, with its reason.
        foreach (Task<byte[]> answer in dripping)
        {
            byte[] said = await answer.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            Assert.Contains(Frames(said), static frame => frame is ErrorFrame { Error.Code: WireErrorCode.Expired });
        }

        for (int i = 0; i < 500 && endpoint.Sessions > 0; i++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        Assert.Equal(0, endpoint.Sessions);
    }

    private static PairingLink Link(ECDsa key, int port) => new("127.0.0.1", port, WorkerKey.Fingerprint(key), s_token);

    private static byte[] Message(ClientFrame frame)
    {
        byte[] bytes = new byte[5 + FrameCodec.Size(frame)];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), bytes.Length - 5);
        FrameCodec.Write(frame, bytes.AsSpan(5));
        return bytes;
    }

    private static List<WorkerFrame> Frames(byte[] messages)
    {
        var frames = new List<WorkerFrame>();
        for (int at = 0; at + 5 <= messages.Length;)
        {
            int length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(messages.AsSpan(at + 1));
            Assert.True(FrameCodec.TryRead(messages.AsMemory(at + 5, length), out WorkerFrame? frame, out _));
            frames.Add(frame!);
            at += 5 + length;
        }

        return frames;
    }

    private static async Task<byte[]> PostAsync(HttpClient http, int port, byte[] atOnce, byte[] slowly)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"https://127.0.0.1:{port}/cleave.Worker/Session")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new DripContent(atOnce, slowly),
        };
        request.Headers.TryAddWithoutValidation(WorkerMethods.TokenKey, WorkerMethods.TokenScheme + s_token);
        request.Headers.TryAddWithoutValidation("te", "trailers");
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        var said = new MemoryStream();
        try
        {
            await (await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)).CopyToAsync(said, TestContext.Current.CancellationToken);
        }
        catch (Exception reset) when (reset is IOException or HttpRequestException)
        {
            // The worker does not wait for the rest.
        }

        return said.ToArray();
    }

    /// <summary>A worker of its own kind: any call is let in, and answered a byte at a time.</summary>
    private static async Task<WebApplication> DripAsync(ECDsa key, bool opens)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, options =>
        {
            options.Protocols = HttpProtocols.Http2;
            options.UseHttps(WorkerKey.Certify(key, TimeProvider.System));
        }));
        WebApplication application = builder.Build();
        application.Run(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.StartAsync(context.RequestAborted);
            OpenedFrame opened = ScriptedWorker.Opened();
            byte[] message = new byte[5 + FrameCodec.Size(opened)];
            message[4] = (byte)(message.Length - 5);
            FrameCodec.Write(opened, message.AsSpan(5));
            try
            {
                if (opens)
                {
                    await context.Response.Body.WriteAsync(message, context.RequestAborted);
                }

                // A frame of a thousand bytes and more, one after another, until nobody listens.
                message[3] = 4;
                for (int i = 0; ; i++)
                {
                    await context.Response.Body.WriteAsync(message.AsMemory(Math.Min(i, message.Length - 1), 1), context.RequestAborted);
                    await context.Response.Body.FlushAsync(context.RequestAborted);
                    await Task.Delay(s_pause, context.RequestAborted);
                }
            }
            catch (OperationCanceledException)
            {
                // The client hung up.
            }
        });
        await application.StartAsync(TestContext.Current.CancellationToken);
        return application;
    }

    /// <summary>Knows what the worker is without asking: that has a deadline of its own.</summary>
    private sealed class DescribedLink(ILink inner) : ILink
    {
        public string Name => inner.Name;

        public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => new ScriptedWorker(static _ => []).DescribeAsync(cancellationToken);

        public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => inner.OpenStreamAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }

    private sealed class DripContent : HttpContent
    {
        private readonly byte[] _atOnce;
        private readonly byte[] _slowly;

        public DripContent(byte[] atOnce, byte[] slowly)
        {
            _atOnce = atOnce;
            _slowly = slowly;
            Headers.TryAddWithoutValidation("content-type", "application/grpc");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(_atOnce);
            await stream.FlushAsync();
            for (int i = 0; ; i++)
            {
                // Never the last byte: the frame stays one short.
                if (i < _slowly.Length - 1)
                {
                    await stream.WriteAsync(_slowly.AsMemory(i, 1));
                    await stream.FlushAsync();
                }

                await Task.Delay(s_pause);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
