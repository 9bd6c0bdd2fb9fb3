using System.CommandLine;

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
            if (result is { Implicit: false, Tokens.Count: > 0 } && result.GetValueOrDefault<int?>() is < 2)
            {
                result.AddError("--context is at least 2 tokens");
            }
        });
    }
}
