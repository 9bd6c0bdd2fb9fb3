using System.CommandLine;
using Cleave.Cli.Running;
using Cleave.Models;

namespace Cleave.Cli.Arguments;

/// <summary><c>--model PATH|OWNER/NAME[:file]</c>; the bundled demo model by default.</summary>
internal sealed class ModelArgument : Option<string>
{
    public ModelArgument()
        : base("--model", "-m")
    {
        HelpName = "MODEL";
        Description = "GGUF file, directory of a Hugging Face checkpoint, or OWNER/NAME[:file] from the cache (default: the bundled demo model)";
    }

    /// <summary>The path asked for, or the bundled model's.</summary>
    /// <exception cref="ModelFormatException">A hub's name that the cache lacks.</exception>
    public string Path(ParseResult parsed) => parsed.GetValue(this) switch
    {
        null => BundledModels.Demo,
        "" => throw new CliException("--model is empty", "give a file, a directory or OWNER/NAME"),
        string given => BundledModels.IsOne(given) && !File.Exists(given) ? BundledModels.Find(given)! : ModelSource.Locate(given),
    };

    /// <summary>Opens it.</summary>
    /// <exception cref="ModelFormatException">No such model, or one that is not supported.</exception>
    public IModelSource Open(ParseResult parsed) => ModelSource.Open(Path(parsed));
}
