namespace Cleave.Gateway.Tests.Clients;

/// <summary>Over another cut.</summary>
public sealed class UnevenDotNetClientTests(UnevenGateway fixture) : DotNetClientTests(fixture), IClassFixture<UnevenGateway>;
