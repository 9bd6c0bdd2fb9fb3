using Cleave.Protocol.Pairing;

namespace Cleave.EndToEnd.Tests;

/// <summary>The command line against a worker it did not start: how the link is given, and what is refused.</summary>
public sealed class StandaloneWorkerTests : IAsyncLifetime
{
    private static readonly string[] Run = ["run", "--prompt", "Once upon a time", "--json", "--max-tokens", "6"];
    private StandaloneWorker _worker = null!;

    public async ValueTask InitializeAsync() => _worker = await StandaloneWorker.StartAsync(Cli.Model, "2..10");

    public ValueTask DisposeAsync()
    {
        _worker.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task ALinkIsTakenFromTheCommandLineAFileTheEnvironmentOrStandardInput()
    {
        string link = _worker.Link.ToSecretString();
        int[] local = (await Cli.RunAsync([.. Run, "--local"])).Expect(0).Tokens;
        Assert.Equal(local, (await Cli.RunAsync([.. Run, "--worker", link])).Expect(0).Tokens);
        Assert.Equal(local, (await Cli.RunAsync([.. Run, "--worker-file", _worker.LinkFile, "--wan", "2ms"])).Expect(0).Tokens);
        Assert.Equal(local, (await Cli.RunAsync([.. Run, "--worker", "@" + _worker.LinkFile])).Expect(0).Tokens);
        Assert.Equal(local, (await Cli.RunAsync([.. Run, "--worker", "-"], input: link + "\n")).Expect(0).Tokens);
        CliResult environment = await Cli.RunAsync(Run, input: "", new Dictionary<string, string?> { ["CLEAVE_WORKER"] = link });
        Assert.Equal(local, environment.Expect(0).Tokens);

        // The worker's file holds more than it needs; it says so, with the remedy.
        Assert.Contains("cleave export", environment.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AWrongTokenFingerprintOrCutIsRefusedAndTheNextClientServed()
    {
        PairingLink link = _worker.Link;
        byte[] otherKey = link.Fingerprint.ToArray();
        otherKey[0] ^= 1;
        CliResult token = (await Cli.RunAsync([.. Run, "--worker", new PairingLink(link.Host, link.Port, link.Fingerprint.Span, PairingLink.NewToken()).ToSecretString()])).Expect(1);
        CliResult fingerprint = (await Cli.RunAsync([.. Run, "--worker", new PairingLink(link.Host, link.Port, otherKey, link.Token).ToSecretString()])).Expect(1);
        CliResult cut = (await Cli.RunAsync([.. Run, "--head", "1", "--worker-file", _worker.LinkFile])).Expect(1);
        CliResult wire = (await Cli.RunAsync([.. Run, "--worker", link.At(link.Host, 1).ToSecretString()])).Expect(1);

        Assert.Contains("token", token.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("another key than the pairing link says", fingerprint.Error, StringComparison.Ordinal);
        Assert.Contains("2..10", cut.Error, StringComparison.Ordinal);
        Assert.Contains("--head 2", cut.Error, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1:1", wire.Error, StringComparison.Ordinal);
        Assert.All((CliResult[])[token, fingerprint, cut, wire], result =>
        {
            Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
            Assert.DoesNotContain(link.Token, result.Error, StringComparison.Ordinal);
        });

        (await Cli.RunAsync([.. Run, "--worker-file", _worker.LinkFile])).Expect(0);
    }

    [Fact]
    public async Task AMiddleOnlyExportServesTheSameTokensAndIsNoModelForTheTrustedSide()
    {
        string folder = Directory.CreateTempSubdirectory("cleave-test-").FullName;
        string middle = Path.Combine(folder, "middle.gguf");
        try
        {
            (await Cli.RunAsync("export", "--layers", "2..10", "--out", middle)).Expect(0);
            CliResult again = (await Cli.RunAsync("export", "--layers", "2..10", "--out", middle)).Expect(1);
            Assert.Contains("--force", again.Error, StringComparison.Ordinal);
            using StandaloneWorker worker = await StandaloneWorker.StartAsync(middle, "2..10");
            CliResult split = (await Cli.RunAsync([.. Run, "--worker-file", worker.LinkFile])).Expect(0);
            Assert.Equal((await Cli.RunAsync([.. Run, "--local"])).Expect(0).Tokens, split.Tokens);
            Assert.DoesNotContain("embedding", split.Error, StringComparison.Ordinal);

            CliResult refused = (await Cli.RunAsync([.. Run, "--local", "--model", middle])).Expect(1);
            Assert.Contains("middle-only", refused.Error, StringComparison.Ordinal);
            Assert.Contains("neither embedding nor LM head", (await Cli.RunAsync("inspect", "--model", middle)).Expect(0).Output, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task AWorkerOfAnotherModelIsRefusedByLayerHash()
    {
        // The draft model has other layers; cut one and one, both have a layer 1..2.
        string draft = Path.Combine(Path.GetDirectoryName(Cli.Model)!, "cleave-demo-draft-4m.q8_0.gguf");
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(draft, "1..2");
        CliResult result = (await Cli.RunAsync([.. Run, "--head", "1", "--tail", "10", "--worker-file", worker.LinkFile])).Expect(1);
        Assert.Contains("the worker runs another model", result.Error, StringComparison.Ordinal);
        Assert.Contains("192", result.Error, StringComparison.Ordinal);
        Assert.Contains("384", result.Error, StringComparison.Ordinal);
    }
}
