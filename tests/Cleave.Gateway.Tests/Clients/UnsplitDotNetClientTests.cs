namespace Cleave.Gateway.Tests.Clients;

/// <summary>Unsplit.</summary>
public sealed class UnsplitDotNetClientTests(UnsplitGateway fixture) : DotNetClientTests(fixture), IClassFixture<UnsplitGateway>;
