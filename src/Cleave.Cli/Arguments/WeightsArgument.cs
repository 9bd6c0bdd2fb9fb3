using System.CommandLine;
using Cleave.Models;

namespace Cleave.Cli.Arguments;

/// <summary><c>--weights stored|q8|packed</c>: what loading does to a model's matrices.</summary>
internal sealed class WeightsArgument : Option<WeightPrecision>
{
    public WeightsArgument()
        : base("--weights")
    {
        HelpName = WeightPrecisionText.Syntax;
        CustomParser = Parsed.With(WeightPrecisionText.Parse);
        Description = "q8: quantise floating-point matrices when loading; a worker has to do the same. packed: BF16 matrices in three quarters of their bytes on a CPU with AVX-512 VBMI, in memory of its own: the same bits, up to 1.4 times the speed where memory bounds it; each side for itself";
    }
}
