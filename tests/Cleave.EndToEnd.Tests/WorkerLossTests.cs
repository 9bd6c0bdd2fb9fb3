namespace Cleave.EndToEnd.Tests;

/// <summary>Worker processes in a row, and worker processes killed outright, as their users and operators would.</summary>
public sealed class WorkerLossTests
{
    private static readonly string[] s_run = ["run", "--prompt", "Once upon a time", "--json", "--max-tokens", "32"];

    [Fact]
    public async Task TwoAndThreeWorkersInARowGiveTheTextOfOne()
    {
        int[] local = (await Cli.RunAsync([.. s_run, "--local"])).Expect(0).Tokens;
        using StandaloneWorker first = await StandaloneWorker.StartAsync(["--model", Cli.Model, "--layers", "2..5", "--next-allow", "any"]);
        using StandaloneWorker third = await StandaloneWorker.StartAsync(Cli.Model, "7..10");
        using StandaloneWorker second = await StandaloneWorker.StartAsync(["--model", Cli.Model, "--layers", "5..7", "--next-allow", third.Link.Address]);
        string[] chain = [.. s_run, "--chain", $"@{first.LinkFile},@{second.LinkFile},@{third.LinkFile}"];

        // From worker to worker, and by way of this machine; the audit compares all three with our own layers.
        CliResult forwarded = (await Cli.RunAsync([.. chain, "--audit", "1"])).Expect(0);
        Assert.Equal(local, forwarded.Tokens);
        Assert.DoesNotContain("passes through this machine", forwarded.Error, StringComparison.Ordinal);
        Assert.Contains("bit for bit", forwarded.Error + forwarded.Output, StringComparison.Ordinal);
        Assert.Equal(local, (await Cli.RunAsync([.. chain, "--chain-through-here"])).Expect(0).Tokens);

        CliResult passed = (await Cli.RunAsync([.. s_run, "--tail", "5", "--chain", $"@{first.LinkFile},@{second.LinkFile}"])).Expect(0);
        Assert.Equal(local, passed.Tokens);
        using StandaloneWorker alone = await StandaloneWorker.StartAsync(Cli.Model, "2..5");
        passed = (await Cli.RunAsync([.. s_run, "--tail", "5", "--chain", $"@{alone.LinkFile},@{second.LinkFile}"])).Expect(0);
        Assert.Equal(local, passed.Tokens);
        Assert.Contains("--next-allow", passed.Error, StringComparison.Ordinal);

        CliResult gap = (await Cli.RunAsync([.. s_run, "--chain", $"@{first.LinkFile},@{third.LinkFile}"])).Expect(1);
        Assert.Contains("layers from 5 on were needed next", gap.Error, StringComparison.Ordinal);
        Assert.Contains("--layers", gap.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task AWorkerOfAChainKilledWithinAnAnswerAndStartedAgainGoesOnWithTheSameText(int killed)
    {
        int[] local = (await Cli.RunAsync([.. s_run, "--local"])).Expect(0).Tokens;
        using StandaloneWorker first = await StandaloneWorker.StartAsync(["--model", Cli.Model, "--layers", "2..6", "--next-allow", "any", "--verbose"]);
        using StandaloneWorker second = await StandaloneWorker.StartAsync(["--model", Cli.Model, "--layers", "6..10", "--verbose"]);
        using Cli cli = Cli.Start([.. s_run, "--wan", "100ms", "--decoder", "sequential", "--chain", $"@{first.LinkFile},@{second.LinkFile}"]);
        cli.Input.Close();
        await first.WaitForAsync("passes its rows on to");
        await Task.Delay(1000, TestContext.Current.CancellationToken);
        StandaloneWorker victim = killed == 0 ? first : second;
        victim.Kill();
        await victim.RestartAsync();
        CliResult result = (await cli.WaitAsync()).Expect(0);
        Assert.Equal(local, result.Tokens);
        Assert.Contains("the session goes on at", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("passes through this machine", result.Error, StringComparison.Ordinal);
        if (killed == 0)
        {
            // The one who would have told the second worker is gone.
            await second.WaitForAsync("Session 1 of tenant default closed: closed by the client");
        }
    }

    [Fact]
    public async Task AWorkerKilledWithinAnAnswerAndStartedAgainGoesOnWithTheSameText()
    {
        int[] local = (await Cli.RunAsync([.. s_run, "--local"])).Expect(0).Tokens;
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(["--model", Cli.Model, "--layers", "2..10", "--verbose"]);
        using Cli cli = Cli.Start([.. s_run, "--wan", "100ms", "--decoder", "sequential", "--worker-file", worker.LinkFile]);
        cli.Input.Close();
        await worker.WaitForAsync("opened: F32");
        await Task.Delay(700, TestContext.Current.CancellationToken);
        worker.Kill();
        await worker.RestartAsync();
        CliResult result = (await cli.WaitAsync()).Expect(0);
        Assert.Equal(local, result.Tokens);
        Assert.Contains("the session goes on at", result.Error, StringComparison.Ordinal);
    }
}
