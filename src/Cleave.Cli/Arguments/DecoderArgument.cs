using System.CommandLine;
using Cleave.Inference.Decoding;

namespace Cleave.Cli.Arguments;

/// <summary><c>--decoder NAME</c>. Decoders differ in speed, never in text.</summary>
internal sealed class DecoderArgument : Option<string>
{
    public DecoderArgument()
        : base("--decoder", "-d")
    {
        HelpName = "NAME";
        Description = $"How tokens are guessed ahead: {string.Join(", ", DecoderCatalog.Names)}. Changes the speed, never the text";
        DefaultValueFactory = static _ => DecoderCatalog.Best;
        Validators.Add(static result =>
        {
            string? name = result.Tokens is [var token] ? token.Value : null;
            if (name is not null && !DecoderCatalog.Has(name))
            {
                result.AddError($"there is no decoder '{name}'; the decoders are {string.Join(", ", DecoderCatalog.Names)}");
            }
        });
    }
}
