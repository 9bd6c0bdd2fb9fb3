using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Cleave.Cli.Commands;

namespace Cleave.Cli.Terminal;

/// <summary>The usual help, then the command's examples: a working line teaches faster than an option's description.</summary>
internal sealed class ExamplesHelpAction(HelpAction usual) : SynchronousCommandLineAction
{
    /// <inheritdoc />
    public override int Invoke(ParseResult parseResult)
    {
        int result = usual.Invoke(parseResult);
        if (parseResult.CommandResult.Command is TaughtCommand { Examples.Count: > 0 } command)
        {
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach ((string line, string says) in command.Examples)
            {
                output.WriteLine("  # " + says);
                output.WriteLine("  " + line);
            }

            output.WriteLine();
        }

        return result;
    }
}
