using System.Net;
using System.Security.Cryptography;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Wan;
using Cleave.Worker;
using Cleave.Worker.Chaining;
using Cleave.Worker.Hosting;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Two far workers that pass rows on, over real gRPC and TLS: what a step costs, and connections between them reset at random bytes.</summary>
public sealed class ForwardedChainTests : IAsyncLifetime
{
    private static readonly TimeSpan s_rtt = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_hop = TimeSpan.FromMilliseconds(40);
    private static readonly string s_token = PairingLink.NewToken();

    private readonly CpuDevice _device = new(threads: 1);
    private readonly ECDsa _key = WorkerKey.Create();
    private readonly List<WanEmulator> _wans = [];
    private readonly List<(WorkerModel Model, WorkerEndpoint Endpoint, WorkerServer Server)> _workers = [];
    private readonly List<GrpcLink> _links = [];

    public async ValueTask InitializeAsync()
    {
        foreach (LayerRange range in new[] { new LayerRange(2, 6), new LayerRange(6, 10) })
        {
            WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.Path), _device, range, 256);
            var tenants = new TenantTable();
            tenants.Replace([new Tenant("alice", TenantTable.HashToken(s_token), new TenantQuota(), default)]);
            var endpoint = new WorkerEndpoint(model, tenants, next: NextWorkers.Any());
            WorkerServer server = await WorkerServer.StartAsync(
                endpoint, WorkerKey.Certify(_key, TimeProvider.System), new IPEndPoint(IPAddress.Loopback, 0), new ServingLimits(), cancellationToken: TestContext.Current.CancellationToken);
            _workers.Add((model, endpoint, server));

            // Far from here, and near to each other.
            var worker = new PairingLink("127.0.0.1", server.Port, WorkerKey.Fingerprint(_key), s_token);
            _links.Add(new GrpcLink(worker.At("127.0.0.1", Emulate(server.Port, s_rtt))) { Address = HopAddress.Of(worker.At("127.0.0.1", Emulate(server.Port, s_hop))) });
        }
    }

    [Fact]
    public async Task A_forwarded_step_takes_one_round_trip_and_the_hop()
    {
        double forwarded = await QuickestStepAsync(forward: true);
        double passed = await QuickestStepAsync(forward: false);

        // 1.2 and 2 round trips, and what two workers compute.
        Assert.InRange(forwarded / s_rtt.TotalMilliseconds, 1.19, 1.7);
        Assert.InRange(passed / s_rtt.TotalMilliseconds, 1.99, 4);
        Assert.InRange(forwarded / passed, 0.3, 0.8);
    }

    [Fact]
    public async Task A_connection_between_workers_reset_at_any_byte_is_mended_by_them()
    {
        await using var first = new GrpcLink(LinkTo(_workers[0].Server.Port));
        float[][] expected;
        (long Up, long Down) all;
        await using (var whole = new ByteCutter(_workers[1].Server.Port))
        {
            await using var second = new GrpcLink(LinkTo(_workers[1].Server.Port)) { Address = HopAddress.Of(LinkTo(whole.Port)) };
            expected = [.. (await RunAsync([first, second], forward: true)).Select(static reply => reply.Hidden)];
            all = (whole.Up, whole.Down);
        }

        // The first bytes each way are the connection's own beginning, which fails the opening instead; the last ones the farewell.
        int cuts = 0;
        for (int round = 0; round < 16; round++)
        {
            bool isUp = round % 2 == 0;
            var random = new Random(round);
            await using var cutter = new ByteCutter(_workers[1].Server.Port) { CutAt = (isUp, random.NextInt64(3500, (isUp ? all.Up : all.Down) - 300)) };
            await using var second = new GrpcLink(LinkTo(_workers[1].Server.Port)) { Address = HopAddress.Of(LinkTo(cutter.Port)) };
            Assert.Equal(expected, (await RunAsync([first, second], forward: true)).Select(static reply => reply.Hidden));
            cuts += cutter.Cuts;
        }

        Assert.Equal(16, cuts);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (GrpcLink link in _links)
        {
            await link.DisposeAsync();
        }

        foreach ((WorkerModel model, WorkerEndpoint endpoint, WorkerServer server) in _workers)
        {
            await endpoint.DisposeAsync();
            await server.DisposeAsync();
            Assert.Equal(0, model.Pool.Used);
            model.Dispose();
        }

        foreach (WanEmulator wan in _wans)
        {
            await wan.DisposeAsync();
        }

        _device.Dispose();
        _key.Dispose();
    }

    private PairingLink LinkTo(int port) => new("127.0.0.1", port, WorkerKey.Fingerprint(_key), s_token);

    private int Emulate(int port, TimeSpan rtt)
    {
        WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, port), new WanOptions { Rtt = rtt });
        _wans.Add(wan);
        return wan.ListenEndPoint.Port;
    }

    private async Task<double> QuickestStepAsync(bool forward) => (await RunAsync([.. _links], forward)).Min(static reply => reply.TripMs);

    /// <summary>Eight steps of one row; nothing may be noticed here but their time.</summary>
    private async Task<List<(double TripMs, float[] Hidden)>> RunAsync(ILink[] links, bool forward)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        int width = _workers[0].Model.Config.HiddenSize;
        WorkerChain chain = await WorkerChain.ConnectAsync(links, new LayerRange(2, 10), static _ => static _ => { }, cancellationToken);
        var events = new List<SessionEvent>();
        await using IMiddle middle = await chain.OpenAsync(
            new RemoteMiddleOptions { Range = new LayerRange(2, 10), HiddenSize = width, MaxTokens = 64, Events = events.Add }, cancellationToken, forward);
        float[] row = [.. Enumerable.Range(0, width).Select(static i => MathF.Sin(i))];
        var replies = new List<(double, float[])>();
        for (ulong id = 1; id <= 8; id++)
        {
            await middle.SubmitAsync(id == 1 ? Array.Empty<ulong>() : [id - 1], new TreeRow[] { new(id, id - 1) }, row, cancellationToken);
            MiddleReply reply = await middle.ReceiveAsync(cancellationToken);
            replies.Add((reply.TripMs, reply.Hidden.ToArray()));
        }

        Assert.Empty(events);
        return replies;
    }
}
