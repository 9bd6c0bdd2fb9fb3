namespace Cleave.EndToEnd.Tests;

/// <summary>However the command line ends, no worker stays behind.</summary>
public sealed class ProcessLifeTests
{
    // Slow enough that an answer of 512 tokens is certainly still being written when the signal comes.
    private static readonly string[] LongRun = ["run", "--prompt", "Once upon a time", "--no-stop", "--max-tokens", "512", "--wan", "100ms", "--decoder", "sequential"];

    [Fact]
    public async Task CtrlCEndsARunAndItsWorker()
    {
        using Cli cli = Cli.Start(LongRun);
        int worker = await WorkerOf(cli);
        cli.Signal("INT");
        CliResult result = await cli.WaitAsync();
        Assert.Equal(130, result.ExitCode);
        Assert.DoesNotContain("error", result.Error, StringComparison.Ordinal);
        await Gone(worker);
    }

    [Fact]
    public async Task AKilledCommandLineLeavesNoWorker()
    {
        using Cli cli = Cli.Start(LongRun);
        int worker = await WorkerOf(cli);
        cli.Signal("KILL");
        _ = await cli.WaitAsync();
        await Gone(worker);
    }

    [Fact]
    public async Task AFinishedRunHasStoppedItsWorker()
    {
        using Cli cli = Cli.Start(["run", "--prompt", "Once upon a time", "--max-tokens", "4", "--wan", "200ms"]);
        int worker = await WorkerOf(cli);
        (await cli.WaitAsync()).Expect(0);
        Assert.False(Cli.IsAlive(worker));
    }

    [Fact]
    public async Task AWorkerThatDiesMidAnswerIsNamedAsLost()
    {
        using Cli cli = Cli.Start(LongRun);
        int worker = await WorkerOf(cli);
        using (var process = System.Diagnostics.Process.GetProcessById(worker))
        {
            process.Kill();
        }

        CliResult result = (await cli.WaitAsync()).Expect(1);
        Assert.Contains("error: ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    private static async Task<int> WorkerOf(Cli cli)
    {
        await cli.WaitForAsync("reading the prompt");
        return Assert.Single(cli.Children());
    }

    private static async Task Gone(int process)
    {
        for (int attempt = 0; Cli.IsAlive(process); attempt++)
        {
            Assert.True(attempt < 300, $"worker {process} is still there after 30 s");
            await Task.Delay(100);
        }
    }
}
