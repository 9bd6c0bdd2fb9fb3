using System.Text.Json;
using Cleave.Cli.Privacy;
using Cleave.Inference;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Report;
using Cleave.PrivacyLab.Study;
using Cleave.Protocol.Shaping;
using Cleave.Protocol.Wan;

namespace Cleave.EndToEnd.Tests;

/// <summary>Measures beside splitting, as a user meets them: fixed shape, keep-local rules, noise, audit, and the attacks.</summary>
public sealed class PrivacyCommandTests
{
    [Fact]
    public async Task FixedShapeChangesNoToken()
    {
        ReferenceText reference = ReferenceText.All[1];
        CliResult result = await Cli.RunAsync(
            "run", "--prompt", reference.Prompt, "--json", "--no-stop", "--max-tokens", "24", "--decoder", "suffix", "--fixed-shape", "8:5ms:16");
        result.Expect(0);
        Assert.Equal(reference.GreedyIds[..24], result.Tokens);
    }

    [Fact]
    public async Task InFixedShapeTwoDifferentSessionsLookAlike()
    {
        var link = new WanOptions { Rtt = TimeSpan.FromMilliseconds(4) };
        (TrafficTrace shortOne, TrafficTrace longOne) = await TwoSessionsAsync(link, FrameShape.Parse("8:60ms:16"));
        (TrafficTrace plainShort, TrafficTrace plainLong) = await TwoSessionsAsync(link, null);

        // Both fit one bucket with room to spare. Frames are far larger than what HTTP/2 says besides.
        static int[] Frames(TrafficTrace trace, bool up) => [.. trace.Records.Where(r => r.IsUp == up && r.Bytes > 4096).Select(static r => r.Bytes)];
        Assert.Equal(16, Frames(shortOne, up: true).Length);
        Assert.Single(Frames(shortOne, up: true).Concat(Frames(longOne, up: true)).Distinct());
        Assert.Equal(Frames(shortOne, up: true), Frames(longOne, up: true));
        Assert.Equal(Frames(shortOne, up: false).Length, Frames(longOne, up: false).Length);

        // The same sessions without it differ: the test can tell.
        Assert.NotEqual(plainShort.BytesUp / 1000, plainLong.BytesUp / 1000);
    }

    [Fact]
    public async Task APromptThatMatchesARuleIsNotSent()
    {
        CliResult kept = await Cli.RunAsync("run", "--prompt", "Write to jane@example.org and say", "--max-tokens", "8", "--json", "--keep-local", "email,card");
        kept.Expect(0);
        Assert.Equal(0, kept.Json.GetProperty("bytesUp").GetInt64());
        Assert.Contains("matches the rule email", kept.Error, StringComparison.Ordinal);
        Assert.Contains("nothing left this machine", kept.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("jane", kept.Error, StringComparison.Ordinal);

        CliResult sent = await Cli.RunAsync("run", "--prompt", "Write to Jane and say", "--max-tokens", "8", "--json", "--keep-local", "email,card");
        sent.Expect(0);
        Assert.True(sent.Json.GetProperty("bytesUp").GetInt64() > 0);
        Assert.Contains("can reconstruct this conversation", sent.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnAuditedRunSaysWhatItFound()
    {
        CliResult result = await Cli.RunAsync("run", "--prompt", "Once upon a time", "--max-tokens", "16", "--json", "--audit", "1");
        result.Expect(0);
        Assert.Contains("rows replayed, bit for bit", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NoiseIsChargedAndSaidSo()
    {
        CliResult result = await Cli.RunAsync("run", "--prompt", "Once upon a time", "--max-tokens", "8", "--json", "--noise", "500");
        result.Expect(0);
        Assert.Contains("epsilon 500 per token", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AttackGoesOnFromTheTablesThatAreThere()
    {
        string folder = Directory.CreateTempSubdirectory("cleave-attack").FullName;
        try
        {
            var table = new StudyTable("paper", "Made before", ["a", "b"], [["1", "2"]], ["a note"]) { Command = "cleave attack paper" };
            await File.WriteAllTextAsync(Path.Combine(folder, "paper.json"), JsonSerializer.Serialize(table, PrivacyReportJson.Default.StudyTable), TestContext.Current.CancellationToken);

            CliResult result = await Cli.RunAsync("attack", "paper", "--out", folder);

            result.Expect(0);
            Assert.Equal(table.ToMarkdown().Trim(), result.Output.Trim());
            Assert.Contains("kept from", result.Error, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("--depths", "2,x", "'x'")]
    [InlineData("--depths", "2,40", "40")]
    [InlineData("--side-by-side", "0", "'0'")]
    public async Task AttackSaysWhichOptionCannotBe(string option, string value, string named)
    {
        CliResult result = await Cli.RunAsync("attack", "paper", option, value);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(option, result.Error, StringComparison.Ordinal);
        Assert.Contains(named, result.Error, StringComparison.Ordinal);
    }

    private static async Task<(TrafficTrace Short, TrafficTrace Long)> TwoSessionsAsync(WanOptions link, FrameShape? shape)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(Cli.Model, "2..10");
        await using TrafficLane lane = await TrafficLane.StartAsync(Cli.Model, Cut.Default, worker.Link, link, shape, cancellationToken);
        await lane.RunAsync([0, 1], 2, "sequential", 4, cancellationToken);
        TrafficTrace first = await lane.RunAsync([0, 400, 500], 2, "sequential", 4, cancellationToken);
        TrafficTrace second = await lane.RunAsync([0, .. Enumerable.Range(300, 20)], 3, "suffix", 4, cancellationToken);
        return (first, second);
    }
}
