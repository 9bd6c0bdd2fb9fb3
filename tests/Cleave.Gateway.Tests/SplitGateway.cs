using Cleave.Inference;

namespace Cleave.Gateway.Tests;

/// <summary>A gateway over the paper's cut, shared by the tests of a class.</summary>
public sealed class SplitGateway : IAsyncLifetime
{
    public TestGateway Gateway { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Gateway = await TestGateway.StartAsync(Cut.Default, sessions: 8);

    public ValueTask DisposeAsync() => Gateway.DisposeAsync();
}
