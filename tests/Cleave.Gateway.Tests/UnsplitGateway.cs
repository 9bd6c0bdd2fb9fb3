namespace Cleave.Gateway.Tests;

/// <summary>Without a worker.</summary>
public sealed class UnsplitGateway() : GatewayFixture(null);
