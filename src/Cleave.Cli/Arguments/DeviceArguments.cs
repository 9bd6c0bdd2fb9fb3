using System.CommandLine;
using Cleave.Cli.Running;
using Cleave.Compute.Gpu;

namespace Cleave.Cli.Arguments;

/// <summary>Where to compute: head and tail, the draft model, and a worker started here, each for itself.</summary>
internal sealed class DeviceArguments
{
    private readonly DeviceArgument _device = new("--device", $"Where head and tail run: {DeviceSelector.Syntax}; auto is a CUDA GPU with enough free memory, else the CPU");
    private readonly DeviceArgument _draftDevice = new("--draft-device", "Where the draft model runs (default: auto)");
    private readonly DeviceArgument _workerDevice = new("--worker-device", "Where a worker process started on this machine runs (default: auto)");
    private readonly KvTypeArgument _kvType = new();
    private readonly Option<EmbeddingPlace> _embedding = new("--embedding")
    {
        HelpName = "host|device",
        Description = "Where a GPU's embedding lies; on the host it takes no device memory, and a step uploads the few rows it needs",
    };

    public DeviceArguments(Command command)
    {
        foreach (Option option in (Option[])[_device, _draftDevice, _workerDevice, _kvType, _embedding])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Reads the settings.</summary>
    public DeviceSettings Read(ParseResult parsed) => new()
    {
        Device = parsed.GetValue(_device),
        DraftDevice = parsed.GetValue(_draftDevice),
        WorkerDevice = parsed.GetValue(_workerDevice),
        KvType = parsed.GetValue(_kvType),
        EmbeddingOnHost = parsed.GetValue(_embedding) == EmbeddingPlace.Host,
    };

    private enum EmbeddingPlace
    {
        Host,
        Device,
    }
}
