using System.CommandLine;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Cleave.Compute.Gpu;
using Cleave.Inference;
using Cleave.Models;
using Cleave.Models.Hub;
using Cleave.Protocol;
using Cleave.Tokenization;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Cli.Terminal;

/// <summary>Failures as the user sees them: one line on stderr, then the remedy.</summary>
internal static partial class Failure
{
    /// <summary>Says what stopped the program and returns its exit code.</summary>
    public static int Report(Exception exception)
    {
        switch (exception)
        {
            case OperationCanceledException:
                return ExitCode.Cancelled;
            case CliException expected:
                Say(expected.Message, expected.Remedy);
                return ExitCode.Failed;
            case WireException wire:
                Say(wire.Message, Remedy(wire.Error));
                return ExitCode.Failed;
            case ModelFormatException or HubException or TokenizerFormatException or ChatTemplateException or InferenceException or DeviceUnavailableException or GpuMemoryException or FormatException or IOException
                or UnauthorizedAccessException or SocketException:
                Say(exception.Message, null);
                return ExitCode.Failed;
            default:
                Say("this is a bug in cleave: " + exception, null);
                return ExitCode.Internal;
        }
    }

    /// <summary>Says what is wrong with a command line.</summary>
    public static int Usage(ParseResult parsed)
    {
        foreach (System.CommandLine.Parsing.ParseError error in parsed.Errors)
        {
            Say(InWords(error.Message), null);
        }

        string path = string.Join(' ', Path(parsed.CommandResult.Command).Reverse());
        Console.Error.WriteLine($"  '{path} --help' lists the options, with examples");
        return ExitCode.Usage;
    }

    /// <summary>What the parser says of a number that is none, without the runtime's names of types.</summary>
    private static string InWords(string message) => Unparsable().Match(message) is { Success: true } match
        ? $"{match.Groups["option"].Value} needs {(match.Groups["type"].Value.StartsWith("Int", StringComparison.Ordinal) ? "a whole number" : "a number")}, not '{match.Groups["text"].Value}'"
        : message;

    [GeneratedRegex(@"^Cannot parse argument '(?<text>.*)' for option '(?<option>[^']+)' as expected type '(System\.Nullable`1\[)?System\.(?<type>Int32|Int64|Single|Double)\]?'", RegexOptions.Singleline)]
    private static partial Regex Unparsable();

    private static void Say(string message, string? remedy)
    {
        Console.Error.WriteLine("error: " + message);
        if (remedy is not null)
        {
            Console.Error.WriteLine("  " + remedy);
        }
    }

    private static string? Remedy(WireError error) => error.Code switch
    {
        WireErrorCode.Unauthorized => "take the link afresh from the worker: it prints the current one when it starts",
        WireErrorCode.QuotaExceeded or WireErrorCode.Busy when error.RetryAfterMs > 0 => $"try again in {error.RetryAfterMs / 1000.0:0.#} s",
        _ => null,
    };

    private static IEnumerable<string> Path(Command command)
    {
        for (Command? at = command; at is not null; at = at.Parents.OfType<Command>().FirstOrDefault())
        {
            yield return at is RootCommand ? "cleave" : at.Name;
        }
    }
}
