using System.Text.RegularExpressions;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave chat</c> by its standard input.</summary>
public sealed class ChatCommandTests
{
    [Fact]
    public async Task ALaterTurnSendsOnlyWhatIsNew()
    {
        CliResult result = await Cli.RunAsync(
            ["chat", "--max-tokens", "24"],
            input: "Name five musical instruments.\n/stats\nAnd five colours.\n/stats\n/undo\n/undo\n/undo\n/frobnicate\n/exit\nnever read\n");
        result.Expect(0);
        string[] statistics = [.. result.Error.Split('\n').Where(static line => line.Contains("of them held already", StringComparison.Ordinal))];
        Assert.Equal(2, statistics.Length);
        Assert.Contains(", 0 of them held already", statistics[0], StringComparison.Ordinal);
        (int prompt, int held) = Counts(statistics[1]);
        Assert.InRange(prompt - held, 1, 16);
        Assert.Contains("taken back", result.Error, StringComparison.Ordinal);
        Assert.Contains("there is no command /frobnicate", result.Error, StringComparison.Ordinal);
        string[] answers = result.Output.Split("\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("1. ", answers[0], StringComparison.Ordinal);
        Assert.True(answers.Length > 1);
    }

    [Fact]
    public async Task CtrlCStopsTheAnswerAndNotTheProgram()
    {
        using Cli cli = Cli.Start(["chat", "--wan", "100ms", "--decoder", "sequential"]);
        await cli.Input.WriteLineAsync("Tell me a bedtime story about a brave mouse.");
        await cli.Input.FlushAsync();
        await cli.WaitForAsync("There once");
        cli.Signal("INT");
        await cli.WaitForAsync("[stopped]");
        await cli.Input.WriteLineAsync("Thank you!\n/exit");
        cli.Input.Close();
        CliResult result = (await cli.WaitAsync()).Expect(0);
        Assert.NotEmpty(result.Output[(result.Output.IndexOf("[stopped]", StringComparison.Ordinal) + 9)..].Trim());
    }

    private static (int Prompt, int Held) Counts(string line)
    {
        Match match = Regex.Match(line, @"prompt (\d+) tokens, (\d+) of them");
        return (int.Parse(match.Groups[1].Value), int.Parse(match.Groups[2].Value));
    }
}
