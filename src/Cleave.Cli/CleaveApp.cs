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
    private static IEnumerable<TaughtCommand> Commands(Interrupts interrupts) =>
    [
        new DemoCommand(),
        new RunCommand(),
        new ChatCommand(interrupts),
        new PullCommand(),
        new ModelsCommand(),
        new InspectCommand(),
        new DevicesCommand(),
        new VerifyCommand(),
        new TokenizeCommand(),
        new ExportCommand(),
        new WanCommand(),
        new ServeCommand(),
        new CompletionCommand(),
        new BenchCommand(),
        new PlanCommand(),
        new PrivacyCommand(),
        new AttackCommand(),
    ];

    /// <summary>Runs one invocation and returns its exit code (<see cref="ExitCode"/>).</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        using var interrupts = new Interrupts();

        // "@FILE" names a file that holds a pairing link, not one of further arguments.
        ParseResult parsed = Root(interrupts).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is ParseErrorAction)
        {
            return Failure.Usage(parsed);
        }

        try
        {
            var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(invocation, interrupts.Token);
        }
        catch (Exception exception)
        {
            return Failure.Report(exception);
        }
    }

    /// <summary>The root command, with help that shows examples.</summary>
    internal static RootCommand Root(Interrupts interrupts)
    {
        var root = new RootCommand("Split inference of large language models: the ends here, the middle on a machine you do not trust.");
        foreach (TaughtCommand command in Commands(interrupts))
        {
            root.Subcommands.Add(command);
        }

        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new ExamplesHelpAction((HelpAction)help.Action!);
        return root;
    }
}
