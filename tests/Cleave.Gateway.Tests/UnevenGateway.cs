using Cleave.Inference;

namespace Cleave.Gateway.Tests;

/// <summary>Over another cut: one layer before, three after.</summary>
public sealed class UnevenGateway() : GatewayFixture(new Cut(1, 3));
