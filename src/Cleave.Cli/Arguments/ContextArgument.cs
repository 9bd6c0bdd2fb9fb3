using System.CommandLine;
using System.Globalization;

namespace Cleave.Cli.Arguments;

/// <summary><c>--context N</c>: the most tokens a conversation may hold.</summary>
internal sealed class ContextArgument : Option<int?>
{
    public ContextArgument()
        : base("--context")
    {
        HelpName = "N";
        Description = "Most tokens a conversation may hold (default: the model's context, or what the worker allows)";
        Validators.Add(result =>
        {
            // What is no number is for the parser to name: asked for its value, it would throw.
            if (result.Tokens is [.., var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out int tokens) && tokens < 2)
            {
                result.AddError("--context is at least 2 tokens");
            }
        });
    }
}
