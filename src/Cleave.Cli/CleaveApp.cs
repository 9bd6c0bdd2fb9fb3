using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Cleave.Cli.Commands;
using Cleave.Cli.Terminal;

namespace Cleave.Cli;

/// <summary>The command line: which commands there are, and what a failure looks like.</summary>
internal static class CleaveApp
{
    /// <summary>Every command of <c>cleave</c>, in the order help lists them. A new command is a file and a line here.</summary>
    private static IEnumerable<TaughtCommand> Commands() =>
    [
        // new DemoCommand(),
        // new RunCommand(),
        // new ChatCommand(),
        // new InspectCommand(),
        // new TokenizeCommand(),
        // new ExportCommand(),
        new WanCommand(),
    ];

    /// <summary>Runs one invocation and returns its exit code (<see cref="ExitCode"/>).</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        ParseResult parsed = Root().Parse(args);
        if (parsed.Errors.Count > 0 && parsed.Action is ParseErrorAction)
        {
            return Failure.Usage(parsed);
        }

        try
        {
            // Ctrl-C cancels the command's token; it then has this long to end its worker and say goodbye.
            var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(5) };
            return await parsed.InvokeAsync(invocation);
        }
        catch (Exception exception)
        {
            return Failure.Report(exception);
        }
    }

    /// <summary>The root command, with help that shows examples.</summary>
    internal static RootCommand Root()
    {
        var root = new RootCommand("Split inference of large language models: the ends here, the middle on a machine you do not trust.");
        foreach (TaughtCommand command in Commands())
        {
            root.Subcommands.Add(command);
        }

        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new ExamplesHelpAction((HelpAction)help.Action!);
        return root;
    }
}
