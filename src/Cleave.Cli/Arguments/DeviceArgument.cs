using System.CommandLine;
using Cleave.Compute.Gpu;

namespace Cleave.Cli.Arguments;

/// <summary>The name of a device: cpu, cuda:0, ...</summary>
internal sealed class DeviceArgument : Option<string?>
{
    public DeviceArgument(string name, string description)
        : base(name)
    {
        HelpName = "NAME";
        Description = description;
        Validators.Add(static result =>
        {
            try
            {
                _ = DeviceSelector.Parse(result.Tokens is [var token] ? token.Value : null);
            }
            catch (DeviceUnavailableException exception)
            {
                result.AddError(exception.Message);
            }
        });
    }
}
