using System.Text.RegularExpressions;

namespace Cleave.EndToEnd.Tests;

/// <summary>A few seconds of the coverage-guided fuzzing of every parser and both ends, from the committed corpus.</summary>
public sealed class FuzzSliceTests
{
    [Fact]
    public async Task NothingIsFoundAndTheCorpusIsAlive()
    {
        string program = Path.Combine(Cli.Folder, "..", "..", "Cleave.Endurance", Path.GetFileName(Cli.Folder), "Cleave.Endurance");
        string findings = Path.Combine(Path.GetTempPath(), $"cleave-findings-{Environment.ProcessId}");
        using Cli fuzz = Cli.Start(
            [
                "fuzz", "--seconds", "1.5", "--seed", Random.Shared.Next().ToString(), "--findings", findings,
                "--corpus", Path.Combine(Cli.RepositoryRoot, "benchmarks", "Cleave.Endurance", "corpus"),
                "--model", Path.Combine(Cli.RepositoryRoot, "models", "cleave-demo-draft-4m.q8_0.gguf"),
            ],
            program: program);
        fuzz.Input.Close();
        CliResult result = (await fuzz.WaitAsync()).Expect(0);
        MatchCollection lines = Regex.Matches(result.Output, @"^(\S+): (\d+) inputs in \d+ s, (\d+) branches reached .* 0 findings", RegexOptions.Multiline);
        Assert.Equal(7, lines.Count);
        Assert.All(lines, line => Assert.True(int.Parse(line.Groups[2].Value) > 20 && int.Parse(line.Groups[3].Value) > 10, line.Value));
    }
}
