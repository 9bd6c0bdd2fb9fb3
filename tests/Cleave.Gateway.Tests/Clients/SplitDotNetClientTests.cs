namespace Cleave.Gateway.Tests.Clients;

/// <summary>Over the paper's cut.</summary>
public sealed class SplitDotNetClientTests(SplitGateway fixture) : DotNetClientTests(fixture), IClassFixture<SplitGateway>;
