using System.CommandLine;

namespace Cleave.Cli.Arguments;

/// <summary><c>--draft MODEL</c>: the small model that guesses ahead on the trusted side.</summary>
internal sealed class DraftArgument : Option<string>
{
    public DraftArgument()
        : base("--draft")
    {
        HelpName = "MODEL";
        Description = "A small model with the same vocabulary that guesses ahead on this side (default: the bundled one for the bundled model)";
    }
}
