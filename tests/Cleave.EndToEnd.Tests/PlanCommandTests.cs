using System.Net;
using System.Text.Json;
using Cleave.Cli.Benchmarking;
using Cleave.Cli.Planning;
using Cleave.Protocol.Wan;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave plan</c> on routes whose nature is known, and the throughput model it shares with <c>cleave bench</c>.</summary>
public sealed class PlanCommandTests
{
    private static readonly double[] s_rtts = [20, 40, 80, 120, 150, 200];

    [Fact]
    public async Task ARouteWhoseHandshakeIsNearerThanItsWorkerIsCalledRelayed()
    {
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(Cli.Model, "2..10");

        // The emulator accepts connections itself, at once, as a provider's proxy does; what is sent through it takes 30 ms there and back.
        await using WanEmulator proxy = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Link.Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(30) });
        string through = worker.Link.At("127.0.0.1", proxy.ListenEndPoint.Port).ToSecretString();
        CliResult relayed = (await Cli.RunAsync("plan", "--worker", through)).Expect(0);
        JsonElement direct = (await Cli.RunAsync("plan", "--worker-file", worker.LinkFile, "--json")).Expect(0).Json;

        Assert.Contains("the route looks relayed", relayed.Output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.False(direct.GetProperty("looksRelayed").GetBoolean());
        Assert.NotEmpty(direct.GetProperty("here").EnumerateArray());
    }

    [Fact]
    public void TheThroughputModelPredictsRoundTripsItHasNotSeen()
    {
        // A decoder as the node rule makes them: longer trips carry more rows and bring more tokens.
        var truth = new ThroughputModel(4, 1.1, -1, 1.5);
        ThroughputPoint[] points = [.. s_rtts.Select(rtt => new ThroughputPoint(rtt, truth.TokensPerSecond(rtt), truth.TokensPerTrip(rtt)))];
        Assert.InRange(RttFit.Check("auto", points).MaxErrorPercent, 0, 0.01);

        // A speed at one of them that is 20 % off is not seen by what predicts it.
        points[3] = points[3] with { TokensPerSecond = 1.2 * points[3].TokensPerSecond };
        Assert.InRange(RttFit.Check("auto", points).MaxErrorPercent, 16, 17.5);
    }
}
