using Cleave.Compute;
using Cleave.Gateway.Hosting;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Cleave.Gateway.Tests;

/// <summary>A gateway on a free port, with a worker in this process behind the codec, or unsplit.</summary>
public sealed class TestGateway : IAsyncDisposable
{
    private const int ContextTokens = 2048;
    private readonly TrustedModel _model;
    private readonly WorkerModel? _workerModel;
    private readonly CpuDevice? _workerDevice;
    private readonly WebApplication _app;

    private TestGateway(TrustedModel model, WorkerModel? workerModel, CpuDevice? workerDevice, WorkerEndpoint? worker, WebApplication app)
    {
        _model = model;
        _workerModel = workerModel;
        _workerDevice = workerDevice;
        Worker = worker;
        _app = app;
        Address = new Uri(app.Urls.Single());
        Client = new HttpClient { BaseAddress = Address };
    }

    public const string ModelName = "cleave-demo-24m";

    public Uri Address { get; }

    public HttpClient Client { get; }

    public WorkerEndpoint? Worker { get; }

    public TrustedModel Model => _model;

    internal ServedModel Served => _app.Services.GetRequiredService<ServedModel>();

    public IServiceProvider Services => _app.Services;

    /// <param name="cut">Where to cut; null runs unsplit.</param>
    /// <param name="settings">Settings of the gateway, without their section's name.</param>
    /// <param name="sessions">Most sessions.</param>
    /// <param name="wrap">Put around every stream to the worker.</param>
    public static async Task<TestGateway> StartAsync(
        Cut? cut, Dictionary<string, string?>? settings = null, int sessions = 40, Func<ILinkStream, ILinkStream>? wrap = null, string decoder = "suffix")
    {
        int sessionTokens = ContextTokens + 128;
        TrustedModel model = DemoModel.Load(cut, sessions * sessionTokens);
        GatewayBackend backend = new()
        {
            Model = model,
            OpenAsync = (opening, _) => Task.FromResult(new TextGenerator(
                new SplitSession(model, model.CreateLocalMiddle(sessionTokens, sessions * sessionTokens), sessionTokens),
                DecoderCatalog.Create(decoder, new DrafterContext()),
                opening.KnownRttMs)),
            MaxConversations = sessions,
            ContextTokens = ContextTokens,
            ModelName = ModelName,
            Decoder = decoder,
            PrivacyVerdict = "privacy: nothing left this machine",
        };
        WorkerModel? workerModel = null;
        WorkerEndpoint? worker = null;
        CpuDevice? device = null;
        if (cut is { } at)
        {
            device = new CpuDevice(threads: 1);
            workerModel = WorkerModel.Load(ModelSource.Open(DemoModel.Path), device, at.MiddleRange(model.Config.Layers), sessions * sessionTokens);
            var tenants = new TenantTable();
            tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = sessions, Streams = 2 * sessions }, DateTimeOffset.UnixEpoch)]);
            worker = new WorkerEndpoint(workerModel, tenants);
            var link = new LoopbackLink(worker, wrap: wrap);
            WorkerDescription description = await link.DescribeAsync(default);
            backend = backend with
            {
                Cut = at,
                Worker = description,
                WorkerAddress = link.Name,
                PrivacyVerdict = "privacy: the operator of the worker can reconstruct this conversation",
                OpenAsync = async (opening, cancellationToken) =>
                {
                    int tokens = Math.Min(sessionTokens, description.Limits.MaxKvTokensPerSession);
                    RemoteMiddle middle = await RemoteMiddle.OpenAsync(
                        new WorkerRoster([link], static _ => { }),
                        new RemoteMiddleOptions
                        {
                            Range = model.MiddleRange,
                            HiddenSize = model.Config.HiddenSize,
                            MaxTokens = tokens,
                            Events = opening.Events.Tell,
                            RecoveryTimeout = TimeSpan.FromSeconds(10),
                        },
                        cancellationToken);
                    return new TextGenerator(new SplitSession(model, middle, tokens), DecoderCatalog.Create(decoder, new DrafterContext()), opening.KnownRttMs);
                },
            };
        }

        IConfiguration configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["Gateway:Port"] = "0" })
            .AddInMemoryCollection((settings ?? []).ToDictionary(pair => "Gateway:" + pair.Key, pair => pair.Value))
            .Build();
        WebApplication app = GatewayApp.Create(backend, configuration);
        await app.StartAsync();
        return new TestGateway(model, workerModel, device, worker, app);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (Worker is not null)
        {
            await Worker.DisposeAsync();
        }

        _workerModel?.Dispose();
        _workerDevice?.Dispose();
        _model.Dispose();
    }
}
