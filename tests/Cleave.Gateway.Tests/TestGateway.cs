using Cleave.Compute;
using Cleave.Gateway.Hosting;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using PickedWorker = Cleave.Inference.Sessions.Worker;

namespace Cleave.Gateway.Tests;

/// <summary>A gateway on a free port: with a worker in this process behind the codec, with one elsewhere, or unsplit.</summary>
public sealed class TestGateway : IAsyncDisposable
{
    public const string ModelName = "cleave-demo-24m";
    private const int ContextTokens = 2048;
    private const int SessionTokens = ContextTokens + 128;
    private readonly WorkerModel? _workerModel;
    private readonly CpuDevice? _workerDevice;
    private readonly ILink? _link;
    private readonly WebApplication _app;

    private TestGateway(TrustedModel model, (CpuDevice Device, WorkerModel Model, WorkerEndpoint Endpoint)? worker, ILink? link, WebApplication app)
    {
        Model = model;
        (_workerDevice, _workerModel, Worker) = (worker?.Device, worker?.Model, worker?.Endpoint);
        _link = link;
        _app = app;
        Address = new Uri(app.Urls.Single());
        Client = new HttpClient { BaseAddress = Address };
    }

    public Uri Address { get; }

    public HttpClient Client { get; }

    public TrustedModel Model { get; }

    /// <summary>The worker in this process, or null.</summary>
    public WorkerEndpoint? Worker { get; }

    internal ServedModel Served => _app.Services.GetRequiredService<ServedModel>();

    /// <param name="cut">Where to cut; null runs unsplit.</param>
    /// <param name="settings">Settings of the gateway, without their section's name.</param>
    /// <param name="sessions">Most sessions.</param>
    public static async Task<TestGateway> StartAsync(Cut? cut, Dictionary<string, string?>? settings = null, int sessions = 16)
    {
        TrustedModel model = DemoModel.Load(cut, sessions * SessionTokens);
        if (cut is not { } at)
        {
            return await StartAsync(Backend(model, sessions), null, null, settings);
        }

        var device = new CpuDevice(threads: 1);
        WorkerModel workerModel = WorkerModel.Load(ModelSource.Open(DemoModel.Path), device, at.MiddleRange(model.Config.Layers), sessions * SessionTokens);
        var tenants = new TenantTable();
        tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 2 * sessions, Streams = 4 * sessions }, DateTimeOffset.UnixEpoch)]);
        var endpoint = new WorkerEndpoint(workerModel, tenants);
        var link = new LoopbackLink(endpoint);
        GatewayBackend backend = await SplitAsync(Backend(model, sessions), at, link, TimeSpan.FromSeconds(10));
        return await StartAsync(backend, (device, workerModel, endpoint), link, settings);
    }

    /// <summary>Over a worker elsewhere, cut in the paper's way.</summary>
    /// <param name="worker">Its link.</param>
    /// <param name="patience">How long a lost worker is looked for.</param>
    /// <param name="draft">Drafts for the decoder "auto"; null decodes with "suffix".</param>
    public static async Task<TestGateway> StartAsync(PairingLink worker, TimeSpan patience, DraftModel? draft = null)
    {
        TrustedModel model = DemoModel.Load(Cut.Default, 4 * SessionTokens);
        var link = new GrpcLink(worker);
        return await StartAsync(await SplitAsync(Backend(model, 4) with { Decoder = draft is null ? "suffix" : "auto" }, Cut.Default, link, patience, draft), null, link, null);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (_link is not null)
        {
            await _link.DisposeAsync();
        }

        if (Worker is not null)
        {
            await Worker.DisposeAsync();
        }

        _workerModel?.Dispose();
        _workerDevice?.Dispose();
        Model.Dispose();
    }

    private static GatewayBackend Backend(TrustedModel model, int sessions) => new()
    {
        Model = model,
        OpenAsync = (opening, _) => Task.FromResult(Generator(model, model.CreateLocalMiddle(SessionTokens, sessions * SessionTokens), SessionTokens, opening.KnownRttMs)),
        MaxConversations = sessions,
        ContextTokens = ContextTokens,
        ModelName = ModelName,
        Decoder = "suffix",
        PrivacyVerdict = "privacy: nothing left this machine",
    };

    private static async Task<GatewayBackend> SplitAsync(GatewayBackend backend, Cut cut, ILink link, TimeSpan patience, DraftModel? draft = null)
    {
        TrustedModel model = backend.Model;
        var roster = new WorkerRoster([link], new WorkerMatch(model.Source, model.MiddleRange, Protocol.WireType.F32).Check);
        PickedWorker worker = await roster.PickAsync(default);
        int tokens = Math.Min(SessionTokens, worker.Description.Limits.MaxKvTokensPerSession);
        return backend with
        {
            Cut = cut,
            Worker = worker.Description,
            WorkerAddress = link.Name,
            PrivacyVerdict = "privacy: with these weights public, the operator of the worker can reconstruct this conversation; only activations were sent, and that does not prevent it",
            OpenAsync = async (opening, cancellationToken) => Generator(
                model,
                await RemoteMiddle.OpenAsync(
                    roster,
                    new RemoteMiddleOptions
                    {
                        Range = model.MiddleRange,
                        HiddenSize = model.Config.HiddenSize,
                        MaxTokens = tokens,
                        Events = opening.Events.Tell,
                        RecoveryTimeout = patience,
                    },
                    cancellationToken),
                tokens,
                opening.KnownRttMs,
                draft),
        };
    }

    private static TextGenerator Generator(TrustedModel model, IMiddle middle, int tokens, double? knownRttMs, DraftModel? draft = null) =>
        new(new SplitSession(model, middle, tokens), DecoderCatalog.Create(draft is null ? "suffix" : "auto", new DrafterContext { DraftModel = draft }), knownRttMs);

    private static async Task<TestGateway> StartAsync(
        GatewayBackend backend, (CpuDevice Device, WorkerModel Model, WorkerEndpoint Endpoint)? worker, ILink? link, Dictionary<string, string?>? settings)
    {
        IConfiguration configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["Gateway:Port"] = "0" })
            .AddInMemoryCollection((settings ?? []).ToDictionary(pair => "Gateway:" + pair.Key, pair => pair.Value))
            .Build();
        WebApplication app = GatewayApp.Create(backend, configuration);
        await app.StartAsync();
        return new TestGateway(backend.Model, worker, link, app);
    }
}
