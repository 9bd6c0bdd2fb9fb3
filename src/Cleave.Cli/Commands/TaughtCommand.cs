using System.CommandLine;

namespace Cleave.Cli.Commands;

/// <summary>A command whose help ends with examples.</summary>
internal abstract class TaughtCommand : Command
{
    protected TaughtCommand(string name, string description)
        : base(name, description)
    {
    }

    /// <summary>Complete command lines, each with what it does.</summary>
    public abstract IReadOnlyList<(string Line, string Says)> Examples { get; }
}
