using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Worker;
using Cleave.Worker.Hosting;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A worker served over real gRPC and TLS, at more than one address when asked; and generation over links to it.</summary>
public abstract class NetworkedWorkerTests : IAsyncLifetime
{
    private static readonly LayerRange s_middle = new(1, 2);
    protected static string Token { get; } = PairingLink.NewToken();

    private readonly CpuDevice _device = new(threads: 1);
    private readonly TenantTable _tenants = new();
    private WorkerModel _workerModel = null!;

    internal WorkerEndpoint Endpoint { get; private set; } = null!;

    protected ECDsa Key { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    protected List<WorkerServer> Servers { get; } = [];

    protected TrustedModel Model { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        IModelSource source = ModelSource.Open(DemoModel.DraftPath);
        Model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), new Cut(1, 1), 1024);
        _workerModel = WorkerModel.Load(ModelSource.Open(DemoModel.DraftPath), _device, s_middle, 256);
        _tenants.Replace([new Tenant("alice", TenantTable.HashToken(Token), new TenantQuota { Sessions = 100, Streams = 100, Connections = 100 }, default)]);
        Endpoint = new WorkerEndpoint(_workerModel, _tenants);
        await ServeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await Endpoint.DisposeAsync();
        foreach (WorkerServer server in Servers)
        {
            await server.DisposeAsync();
        }

        _workerModel.Dispose();
        _device.Dispose();
        Model.Dispose();
        Key.Dispose();
    }

    protected async Task ServeAsync(ECDsa? key = null)
    {
        var request = new CertificateRequest("CN=worker", key ?? Key, HashAlgorithmName.SHA256);
        X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Servers.Add(await WorkerServer.StartAsync(
            Endpoint, certificate, new IPEndPoint(IPAddress.Loopback, 0), new ServingLimits(), cancellationToken: TestContext.Current.CancellationToken));
    }

    protected GrpcLink Link(int port, ECDsa? key = null) => new(new PairingLink("127.0.0.1", port, SHA256.HashData((key ?? Key).ExportSubjectPublicKeyInfo()), Token));

    protected Task<RemoteMiddle> OpenAsync(ILink[] links, Action<SessionEvent>? onEvent) => RemoteMiddle.OpenAsync(
        new WorkerRoster(links, _ => { }),
        new RemoteMiddleOptions { Range = s_middle, HiddenSize = Model.Config.HiddenSize, MaxTokens = 250, Events = onEvent },
        TestContext.Current.CancellationToken);

    protected async Task<int[]> RunAsync(ILink[] links, List<SessionEvent>? events, Action? opened = null, Action? onToken = null, Action<SessionEvent>? onEvent = null, string decoder = "suffix", int maxTokens = 10, int[]? prompt = null)
    {
        RemoteMiddle middle = await OpenAsync(links, happened =>
        {
            events?.Add(happened);
            onEvent?.Invoke(happened);
        });
        opened?.Invoke();
        await using TextGenerator generator = new(new SplitSession(Model, middle, 250), DecoderCatalog.Create(decoder, new DrafterContext()), knownRttMs: 10);
        var tokens = new List<int>();
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = maxTokens, PrefillChunkRows = prompt is null ? 4 : 256, StopAtEndOfTurn = false } };
        await foreach (DecodedToken token in generator.GenerateAsync(prompt ?? DemoModel.GreedyCases[1].PromptIds, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
            onToken?.Invoke();
        }

        return [.. tokens];
    }
}
