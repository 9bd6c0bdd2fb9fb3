using System.CommandLine;
using Cleave.Cli.Running;
using Cleave.Models;

namespace Cleave.Cli.Arguments;

/// <summary><c>--model FILE</c>; the bundled demo model by default.</summary>
internal sealed class ModelArgument : Option<string>
{
    public ModelArgument()
        : base("--model", "-m")
    {
        HelpName = "FILE";
        Description = "Model in GGUF format (default: the bundled demo model)";
    }

    /// <summary>The path asked for, or the bundled model's.</summary>
    public string Path(ParseResult parsed) => parsed.GetValue(this) ?? BundledModels.Demo;

    /// <summary>Opens it.</summary>
    /// <exception cref="ModelFormatException">No such model, or one that is not supported.</exception>
    public IModelSource Open(ParseResult parsed) => ModelSource.Open(Path(parsed));
}
