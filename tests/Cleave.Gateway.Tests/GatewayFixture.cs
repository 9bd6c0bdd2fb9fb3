using Cleave.Inference;

namespace Cleave.Gateway.Tests;

/// <summary>A gateway shared by the tests of a class.</summary>
/// <param name="cut">Where the model is cut; null runs it unsplit.</param>
public abstract class GatewayFixture(Cut? cut) : IAsyncLifetime
{
    public TestGateway Gateway { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Gateway = await TestGateway.StartAsync(cut, sessions: 8);

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
