using Cleave.Compute;
using Cleave.Models;
using Cleave.Protocol.Links;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Tests.Support;

/// <summary>A worker over two layers of the bundled model.</summary>
internal sealed class TestWorker : IAsyncDisposable
{
    public static readonly LayerRange Layers = new(5, 7);

    private readonly CpuDevice _device = new(threads: 1);

    public TestWorker(ServingLimits? limits = null, int kvTokens = 4096, TimeProvider? time = null, TenantTable? tenants = null)
    {
        Limits = limits ?? new ServingLimits();
        Tenants = tenants ?? new TenantTable();
        Model = WorkerModel.Load(ModelSource.Open(Repository.Demo), _device, Layers, kvTokens);
        Endpoint = new WorkerEndpoint(Model, Tenants, Limits, time);
    }

    public ServingLimits Limits { get; }

    public TenantTable Tenants { get; }

    public WorkerModel Model { get; }

    public WorkerEndpoint Endpoint { get; }

    public int Width => Model.Config.HiddenSize;

    public LoopbackLink Link(string tenant = "alice") => new(Endpoint, tenant);

    public async ValueTask DisposeAsync()
    {
        await Endpoint.DisposeAsync();
        Model.Dispose();
        _device.Dispose();
    }
}
