using System.Diagnostics;
using Cleave.Inference;

namespace Cleave.Gateway.Tests.Clients;

/// <summary>OpenAI's JavaScript package drives the gateway: two cuts, and unsplit.</summary>
public sealed class JavaScriptClientTests
{
    [Theory]
    [InlineData(2, 2)]
    [InlineData(1, 3)]
    [InlineData(0, 0)]
    public async Task The_openai_package_works(int head, int tail)
    {
        await ClientPrograms.RequireNodeAsync();
        await using TestGateway gateway = await TestGateway.StartAsync(head == 0 ? null : new Cut(head, tail));
        var start = new ProcessStartInfo("node") { ArgumentList = { "client.mjs" }, WorkingDirectory = ClientPrograms.JavaScriptFolder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["BASE_URL"] = new Uri(gateway.Address, "/v1").ToString();
        start.Environment["MODEL"] = TestGateway.ModelName;
        using Process node = Process.Start(start)!;
        Task<string> errors = node.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(node.ExitCode == 0, output + await errors);
        Assert.Equal(13, output.Split('\n').Count(line => line.StartsWith("ok ", StringComparison.Ordinal)));
    }
}
