using System.CommandLine;
using Cleave.Protocol;

namespace Cleave.Cli.Arguments;

/// <summary><c>--wire TYPE</c>: how activations are encoded between the two sides.</summary>
internal sealed class WireArgument : Option<WireType>
{
    private static readonly string Names = string.Join(", ", Enum.GetNames<WireType>()).ToLowerInvariant();

    public WireArgument()
        : base("--wire")
    {
        HelpName = "TYPE";
        Description = $"Activations on the wire: {Names}. f32 gives unsplit inference's bits; the others save bytes and change the model slightly, for every decoder alike";
        CustomParser = Parsed.With(static text => Enum.TryParse(text, ignoreCase: true, out WireType type) && Enum.IsDefined(type) && !char.IsAsciiDigit(text![0])
            ? type
            : throw new FormatException($"'{text}' is no wire type; the types are {Names}"));
        DefaultValueFactory = static _ => WireType.F32;
    }
}
