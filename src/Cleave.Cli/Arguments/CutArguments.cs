using System.CommandLine;
using Cleave.Inference;

namespace Cleave.Cli.Arguments;

/// <summary><c>--head N --tail N</c>: how many layers stay on this side, at either end.</summary>
internal sealed class CutArguments
{
    private readonly Option<int> _head = new("--head")
    {
        HelpName = "N",
        Description = "First layers that stay on this machine",
        DefaultValueFactory = static _ => Cut.Default.Head,
    };

    private readonly Option<int> _tail = new("--tail")
    {
        HelpName = "N",
        Description = "Last layers that stay on this machine",
        DefaultValueFactory = static _ => Cut.Default.Tail,
    };

    public CutArguments(Command command)
    {
        command.Options.Add(_head);
        command.Options.Add(_tail);
    }

    /// <summary>The cut asked for.</summary>
    public Cut Read(ParseResult parsed) => new(parsed.GetValue(_head), parsed.GetValue(_tail));

    /// <summary>The cut asked for, checked against a model.</summary>
    /// <exception cref="CliException">The model cannot be cut so.</exception>
    public Cut Read(ParseResult parsed, int layers)
    {
        Cut cut = Read(parsed);
        return cut.Validate(layers) is { } problem ? throw new CliException(problem) : cut;
    }
}
