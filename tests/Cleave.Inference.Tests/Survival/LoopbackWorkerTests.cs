using Cleave.Compute;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Two workers in this process, and sessions on them.</summary>
public abstract class LoopbackWorkerTests : IAsyncDisposable
{
    private static readonly LayerRange s_middle = new(1, 2);

    /// <param name="limits">Caps of the workers.</param>
    protected LoopbackWorkerTests(ServingLimits? limits = null)
    {
        IModelSource source = ModelSource.Open(DemoModel.DraftPath);
        Model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), new Cut(1, 1), 1024);
        StartWorker(limits);
        StartWorker(limits);
    }

    protected TrustedModel Model { get; }

    internal List<(WorkerModel Model, WorkerEndpoint Endpoint)> Workers { get; } = [];

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach ((WorkerModel model, WorkerEndpoint endpoint) in Workers)
        {
            await endpoint.DisposeAsync();
            Assert.Equal(0, model.Pool.Used);
            model.Dispose();
        }

        Model.Dispose();
    }

    protected LoopbackLink Loopback(int worker) => new(Workers[worker].Endpoint);

    protected void StartWorker(ServingLimits? limits = null)
    {
        WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.DraftPath), new CpuDevice(threads: 1), s_middle, 4096);
        var tenants = new TenantTable();
        tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 1000, Streams = 1000 }, DateTimeOffset.UnixEpoch)]);
        Workers.Add((model, new WorkerEndpoint(model, tenants, limits)));
    }

    protected Task<RemoteMiddle> OpenAsync(ILink[] links, List<SessionEvent>? events, double recoverySeconds = 60) => RemoteMiddle.OpenAsync(
        new WorkerRoster(links, _ => { }),
        new RemoteMiddleOptions
        {
            Range = s_middle,
            HiddenSize = Model.Config.HiddenSize,
            MaxTokens = 256,
            RecoveryTimeout = TimeSpan.FromSeconds(recoverySeconds),
            Events = happened => events?.Add(happened),
        },
        TestContext.Current.CancellationToken);

    /// <summary>Sends a row on top of the one before.</summary>
    protected ValueTask SubmitRowAsync(RemoteMiddle middle, ulong id) =>
        middle.SubmitAsync(default, new[] { new Engine.TreeRow(id, id - 1) }, new float[Model.Config.HiddenSize], TestContext.Current.CancellationToken);

    /// <summary>Waits until no worker holds a row.</summary>
    /// <param name="when">Said when one does.</param>
    /// <param name="orSession">True to wait for the end of sessions without rows too.</param>
    protected async Task NothingIsLeftAsync(string when, bool orSession)
    {
        bool IsLeft() => Workers.Any(worker => worker.Endpoint.KvTokensUsed > 0 || (orSession && worker.Endpoint.Sessions > 0));
        for (int i = 0; i < 3000 && IsLeft(); i++)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.False(IsLeft(), $"{when}: {string.Join(", ", Workers.Select(static worker => $"{worker.Endpoint.Sessions} sessions and {worker.Endpoint.KvTokensUsed} rows"))} are left");
    }
}
