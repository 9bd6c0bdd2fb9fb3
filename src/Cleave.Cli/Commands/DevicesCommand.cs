using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Reports;
using Cleave.Cli.Terminal;
using Spectre.Console;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave devices</c>: what there is to compute with.</summary>
internal sealed class DevicesCommand : TaughtCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON array" };

    public DevicesCommand()
        : base("devices", "List what this machine can compute with, and its memory")
    {
        Options.Add(_json);
        SetAction(Run);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave devices", "the names that --device takes, of this machine"),
        ("cleave run --device cuda:0 --prompt \"Once upon a time\"", "head and tail on a GPU; cleave-worker --device takes the same names"),
    ];

    private int Run(ParseResult parsed)
    {
        IReadOnlyList<DeviceReport> devices = DeviceReport.All();
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(devices, ReportJson.Output.IReadOnlyListDeviceReport));
            return ExitCode.Success;
        }

        Table table = new Table().Border(TableBorder.Rounded);
        foreach (string column in (string[])["device", "hardware", "memory", "free", "kernels"])
        {
            table.AddColumn(column);
        }

        foreach (DeviceReport device in devices)
        {
            table.AddRow(
                new Text(device.Name), new Text(device.Hardware), new Text(ByteText.Of(device.MemoryBytes)),
                new Text(device.FreeBytes is { } free ? ByteText.Of(free) : ""), new Text(device.Kernels));
        }

        Screen.Create().Write(table);
        if (devices.Count == 1)
        {
            Console.Error.WriteLine("no GPU was found: one needs its driver and nothing else (NVIDIA's, or an OpenCL 2.0 driver)");
        }

        return ExitCode.Success;
    }
}
