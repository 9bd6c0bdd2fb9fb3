using System.CommandLine;
using Cleave.Models;

namespace Cleave.Cli.Arguments;

/// <summary><c>--weights stored|q8</c>: what loading does to a model's matrices.</summary>
internal sealed class WeightsArgument : Option<WeightPrecision>
{
    public WeightsArgument()
        : base("--weights")
    {
        HelpName = "stored|q8";
        Description = "q8: quantise floating-point matrices when loading; a worker has to do the same";
    }
}
