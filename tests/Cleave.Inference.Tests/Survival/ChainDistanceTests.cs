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

/// <summary>What a step over two far workers costs, over real gRPC and TLS with emulated links.</summary>
public sealed class ChainDistanceTests : IAsyncLifetime
{
    private static readonly TimeSpan s_rtt = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_hop = TimeSpan.FromMilliseconds(20);
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
                endpoint, tenants, WorkerKey.Certify(_key, TimeProvider.System), new IPEndPoint(IPAddress.Loopback, 0), new ServingLimits(), cancellationToken: TestContext.Current.CancellationToken);
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

    private int Emulate(int port, TimeSpan rtt)
    {
        WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, port), new WanOptions { Rtt = rtt });
        _wans.Add(wan);
        return wan.ListenEndPoint.Port;
    }

    private async Task<double> QuickestStepAsync(bool forward)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        int width = _workers[0].Model.Config.HiddenSize;
        WorkerChain chain = await WorkerChain.ConnectAsync([.. _links], new LayerRange(2, 10), static _ => static _ => { }, cancellationToken);
        var events = new List<SessionEvent>();
        await using IMiddle middle = await chain.OpenAsync(
            new RemoteMiddleOptions { Range = new LayerRange(2, 10), HiddenSize = width, MaxTokens = 64, Events = events.Add }, cancellationToken, forward);
        double quickest = double.PositiveInfinity;
        for (ulong id = 1; id <= 8; id++)
        {
            await middle.SubmitAsync(id == 1 ? Array.Empty<ulong>() : [id - 1], new TreeRow[] { new(id, id - 1) }, new float[width], cancellationToken);
            quickest = Math.Min(quickest, (await middle.ReceiveAsync(cancellationToken)).TripMs);
        }

        Assert.Empty(events);
        return quickest;
    }
}
