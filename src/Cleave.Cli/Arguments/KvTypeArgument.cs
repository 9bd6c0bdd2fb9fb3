using System.CommandLine;
using Cleave.Compute;

namespace Cleave.Cli.Arguments;

/// <summary><c>--kv-type TYPE</c>: how keys and values are stored.</summary>
internal sealed class KvTypeArgument : Option<ElementType?>
{
    private static readonly ElementType[] Types = [ElementType.F32, ElementType.F16, ElementType.BF16, ElementType.Q8_0];
    private static readonly string Names = string.Join(", ", Types).ToLowerInvariant() + " (or q8)";

    public KvTypeArgument()
        : base("--kv-type", "--kv")
    {
        HelpName = "TYPE";
        Description = $"How keys and values are stored: {Names} (default: f16 on a GPU, f32 on a CPU). A smaller type changes the model slightly, for every decoder alike";
        CustomParser = Parsed.With<ElementType?>(static text => Enum.TryParse(text is "q8" or "Q8" ? nameof(ElementType.Q8_0) : text, ignoreCase: true, out ElementType type) && Types.Contains(type)
            ? type
            : throw new FormatException($"'{text}' is no type for keys and values; the types are {Names}"));
    }
}
