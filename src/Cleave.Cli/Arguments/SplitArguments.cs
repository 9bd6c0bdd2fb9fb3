using System.CommandLine;
using Cleave.Cli.Running;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Arguments;

/// <summary>Which model runs, where it is cut, and where its middle is. Shared by all commands that generate.</summary>
internal sealed class SplitArguments
{
    /// <summary>Environment variable that holds a pairing link.</summary>
    public const string WorkerVariable = "CLEAVE_WORKER";

    private readonly ModelArgument _model = new();
    private readonly WeightsArgument _weights = new();
    private readonly CutArguments _cut;
    private readonly DeviceArguments _devices;
    private readonly WireArgument _wire = new();
    private readonly Option<bool> _local = new("--local") { Description = "Run the whole model on this machine, unsplit" };
    private readonly Option<string[]> _worker = new("--worker", "-w")
    {
        HelpName = "LINK",
        Description = "Pairing link of a worker: cleave://host:port#fingerprint:token, @FILE, env:NAME, or - for standard input "
            + $"(default: ${WorkerVariable}, or a worker process started on this machine). May be repeated: when a worker is lost, another goes on",
    };

    private readonly Option<string> _chain = new("--chain")
    {
        HelpName = "L1,L2[,L3]",
        Description = "Pairing links of workers that hold parts of the middle, run one after the other; each as with --worker, @FILE being the usual way. "
            + "A part given twice by different workers survives the loss of one. Rows go from worker to worker where their operators allow it",
    };

    private readonly Option<bool> _throughHere = new("--chain-through-here") { Description = "Pass a chain's rows through this machine between workers, a round trip each, though the workers may pass them on: then none sees another's part" };

    private readonly DraftArgument _draft = new();
    private readonly Option<FileInfo[]> _workerFile = new("--worker-file") { HelpName = "FILE", Description = "Read a pairing link from a file, which keeps it off the command line; may be repeated" };
    private readonly Option<WanOptions> _wan = new("--wan")
    {
        HelpName = "RTT[,UP[,DOWN]]",
        Description = "Put an emulated wide-area link between the two sides: 80ms, or 80ms,20mbit,100mbit",
        CustomParser = Parsed.With(WanOptions.Parse),
    };

    private readonly ContextArgument _context = new();

    /// <param name="command">Gets the options.</param>
    /// <param name="wan">Link emulated when none is asked for, or null.</param>
    public SplitArguments(Command command, string? wan = null)
    {
        command.Options.Add(_model);
        command.Options.Add(_weights);
        _cut = new CutArguments(command);
        if (wan is not null)
        {
            _wan.DefaultValueFactory = _ => WanOptions.Parse(wan);
            _wan.Description += $" [default: {wan}]";
        }

        foreach (Option option in (Option[])[_draft, _worker, _workerFile, _chain, _throughHere, _wan, _local, _wire, _context])
        {
            command.Options.Add(option);
        }

        _devices = new DeviceArguments(command);
        command.Validators.Add(result =>
        {
            string[] given = [.. ((Option[])[_local, _chain, result.GetResult(_worker) is null ? _workerFile : _worker]).Where(option => result.GetResult(option) is { Implicit: false }).Select(static option => option.Name)];
            if (given.Length > 1)
            {
                result.AddError($"{string.Join(" and ", given)} exclude each other: each says where the middle runs");
            }
        });
    }

    /// <summary>Reads the settings. A link of - is read from standard input here.</summary>
    /// <exception cref="FormatException">The link is none; the message does not repeat it.</exception>
    public SplitSettings Read(ParseResult parsed)
    {
        bool local = parsed.GetValue(_local);
        return new SplitSettings
        {
            ModelPath = _model.Path(parsed),
            DraftPath = parsed.GetValue(_draft),
            Weights = parsed.GetValue(_weights),
            Devices = _devices.Read(parsed),
            Cut = local ? null : _cut.Read(parsed),
            Workers = local ? [] : ReadLinks(parsed),
            Chained = parsed.GetValue(_chain) is not null,
            Forward = !parsed.GetValue(_throughHere),
            Wan = local ? null : parsed.GetValue(_wan),
            Wire = parsed.GetValue(_wire),
            ContextTokens = parsed.GetValue(_context),
        };
    }

    private PairingLink[] ReadLinks(ParseResult parsed)
    {
        if (parsed.GetValue(_chain) is { } chain)
        {
            return [.. chain.Split(',', StringSplitOptions.TrimEntries).Select(static link => PairingLinkSource.Read(link, Console.In))];
        }

        string[] given = [.. parsed.GetValue(_worker) ?? [], .. (parsed.GetValue(_workerFile) ?? []).Select(static file => "@" + file.FullName)];
        if (given.Length == 0 && Environment.GetEnvironmentVariable(WorkerVariable) is { } variable && !string.IsNullOrWhiteSpace(variable))
        {
            given = [variable];
        }

        return [.. given.Select(static link => PairingLinkSource.Read(link, Console.In))];
    }
}
