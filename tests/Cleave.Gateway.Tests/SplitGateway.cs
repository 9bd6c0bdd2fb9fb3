using Cleave.Inference;

namespace Cleave.Gateway.Tests;

/// <summary>Over the paper's cut.</summary>
public sealed class SplitGateway() : GatewayFixture(Cut.Default);
