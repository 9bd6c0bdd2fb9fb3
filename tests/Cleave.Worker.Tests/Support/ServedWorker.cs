using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Hosting;
using Cleave.Worker.Tenants;
using Microsoft.Extensions.Logging;

namespace Cleave.Worker.Tests.Support;

/// <summary>A worker on a loopback port, over real gRPC and TLS, with tenants alice and bob.</summary>
internal sealed class ServedWorker : IAsyncDisposable
{
    private readonly ECDsa _key;
    private readonly List<IDisposable> _owned = [];

    private ServedWorker(TestWorker worker, WorkerServer server, ECDsa key, PairingLink alice, PairingLink bob)
    {
        Worker = worker;
        Server = server;
        _key = key;
        Alice = alice;
        Bob = bob;
    }

    public TestWorker Worker { get; }

    public WorkerServer Server { get; }

    public PairingLink Alice { get; }

    public PairingLink Bob { get; }

    public int Width => Worker.Width;

    public static async Task<ServedWorker> StartAsync(ServingLimits? limits = null, TenantQuota? quota = null, TimeProvider? time = null, IPAddress? address = null, ILoggerFactory? logging = null)
    {
        limits ??= new ServingLimits();
        string alice = PairingLink.NewToken();
        string bob = PairingLink.NewToken();
        var tenants = new TenantTable();
        tenants.Replace([
            new Tenant("alice", TenantTable.HashToken(alice), quota ?? new TenantQuota(), default),
            new Tenant("bob", TenantTable.HashToken(bob), new TenantQuota(), default),
        ]);
        ECDsa key = WorkerKey.Create();
        var worker = new TestWorker(limits, time: time, tenants: tenants);
        address ??= IPAddress.Loopback;
        WorkerServer server = await WorkerServer.StartAsync(
            worker.Endpoint, WorkerKey.Certify(key, TimeProvider.System), new IPEndPoint(address, 0), limits, time, logging, TestContext.Current.CancellationToken);
        byte[] fingerprint = WorkerKey.Fingerprint(key);
        return new ServedWorker(
            worker, server, key, new PairingLink(address.ToString(), server.Port, fingerprint, alice), new PairingLink(address.ToString(), server.Port, fingerprint, bob));
    }

    public GrpcLink Link() => new(Alice);

    /// <summary>The next client is served, whatever was done to the worker before.</summary>
    public async Task ServesTheNextClientAsync()
    {
        await using var link = new GrpcLink(Bob);
        Assert.Equal(TestWorker.Layers.Start, (await link.DescribeAsync(TestContext.Current.CancellationToken)).LayerStart);
        await using TestClient client = await TestClient.OpenAsync(link);
        Assert.Equal(Steps.Alone(Worker.Model, [1, 2]), (await client.RunAsync(Steps.Make(Width, 1, [(1, 0), (2, 1)])))[Width..]);
        await client.SendAsync(new Protocol.Frames.CloseFrame());
        Assert.Null(await client.ReceiveAsync());
    }

    /// <summary>A bare TCP connection.</summary>
    public async Task<NetworkStream> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _owned.Add(socket);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Server.Port), TestContext.Current.CancellationToken);
        return new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>A TLS connection that speaks no HTTP yet.</summary>
    public async Task<SslStream> HandshakeAsync(SslProtocols protocols = SslProtocols.Tls13)
    {
        var tls = new SslStream(await ConnectAsync(), leaveInnerStreamOpen: false);
        _owned.Add(tls);
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "x",
                EnabledSslProtocols = protocols,
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            },
            TestContext.Current.CancellationToken);
        return tls;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }

        await Worker.Endpoint.DisposeAsync();
        await Server.DisposeAsync();
        await Worker.DisposeAsync();
        _key.Dispose();
    }
}
