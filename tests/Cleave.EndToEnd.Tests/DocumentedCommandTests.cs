using System.CommandLine;
using Cleave.Cli;
using Cleave.Cli.Commands;
using Cleave.Cli.Terminal;

namespace Cleave.EndToEnd.Tests;

/// <summary>Command lines in the documentation and in help are ones the program understands.</summary>
public sealed class DocumentedCommandTests
{
    // As the program parses: @FILE is a pairing link's, not a file of arguments.
    private static readonly ParserConfiguration s_parser = new() { ResponseFileTokenReplacer = null };

    public static TheoryData<string> Documents => ["README.md", "docs/ARCHITECTURE.md", "docs/PERFORMANCE.md", "docs/PROTOCOL.md", "docs/PRIVACY-STUDY.md", "docs/THREAT-MODEL.md"];

    [Theory]
    [MemberData(nameof(Documents))]
    public void EveryCommandLineInADocumentParses(string document)
    {
        using var interrupts = new Interrupts();
        RootCommand root = CleaveApp.Root(interrupts);
        foreach (string line in CommandLines(Path.Combine(Cli.RepositoryRoot, document)))
        {
            ParseResult parsed = root.Parse(line, s_parser);
            Assert.True(parsed.Errors.Count == 0, $"{document}: '{line}': {string.Join("; ", parsed.Errors.Select(static error => error.Message))}");
        }
    }

    [Fact]
    public void TheReadmeShowsTheTwoCommandsAndSome()
    {
        string readme = File.ReadAllText(Path.Combine(Cli.RepositoryRoot, "README.md"));
        Assert.Contains("\n$ dotnet run --project src/Cleave.Cli -c Release -- demo\n", readme, StringComparison.Ordinal);
        Assert.Contains("\n$ dotnet test\n", readme, StringComparison.Ordinal);
        Assert.InRange(CommandLines(Path.Combine(Cli.RepositoryRoot, "README.md")).Length, 6, 100);
    }

    [Fact]
    public void EveryExampleInHelpParses()
    {
        using var interrupts = new Interrupts();
        RootCommand root = CleaveApp.Root(interrupts);
        foreach (TaughtCommand command in root.Subcommands.OfType<TaughtCommand>())
        {
            Assert.NotEmpty(command.Examples);
            foreach ((string line, _) in command.Examples.Where(static example => example.Line.StartsWith("cleave ", StringComparison.Ordinal)))
            {
                ParseResult parsed = root.Parse(WithoutRedirection(line["cleave ".Length..]), s_parser);
                Assert.True(parsed.Errors.Count == 0, $"'{line}': {string.Join("; ", parsed.Errors.Select(static error => error.Message))}");
            }
        }
    }

    // Lines that start with "$ cleave" or, through the build, "$ dotnet run ... --"; what follows is a command line of ours.
    private static string[] CommandLines(string path) => !File.Exists(path) ? [] :
    [
        .. File.ReadLines(path)
            .Select(static line => line.StartsWith("$ cleave ", StringComparison.Ordinal) ? line["$ cleave ".Length..]
                : line.StartsWith("$ dotnet run --project src/Cleave.Cli -c Release -- ", StringComparison.Ordinal) ? line[line.IndexOf(" -- ", StringComparison.Ordinal)..][4..]
                : null)
            .OfType<string>()
            .Select(static line => WithoutRedirection(line.Split(" # ")[0])),
    ];

    private static string WithoutRedirection(string line) => line.Split(" < ")[0].Split(" > ")[0].Split(" | ")[0].Trim();
}
