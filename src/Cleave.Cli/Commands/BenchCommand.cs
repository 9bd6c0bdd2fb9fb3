using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Benchmarking;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference.Decoding;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave bench</c>: the study, on this machine over an emulated link.</summary>
internal sealed class BenchCommand : TaughtCommand
{
    private readonly Option<string> _suite = new("--suite", "-s")
    {
        HelpName = "NAME",
        Description = "quick (under 4 minutes), speed (against sequential, five runs), ablation (every decoder), rtt, bandwidth, ladder, all, identity (200 prompts x every decoder x three samplings, then a bad link), identity-quick (100 prompts, no bad link), or sessions (many at once on one worker)",
        DefaultValueFactory = static _ => "quick",
    };

    private readonly Option<FileInfo> _prompts = new("--prompts") { HelpName = "FILE", Description = "Prompts of your own: a JSON array of {\"kind\", \"text\", \"chat\"} (default: 50 bundled ones)" };
    private readonly Option<string> _decoders = new("--decoders") { HelpName = "A,B", Description = "Decoders to measure beside sequential (default: the suite's)" };
    private readonly Option<int?> _tokens = new("--tokens", "-n") { HelpName = "N", Description = "Tokens per prompt (default: the suite's)" };
    private readonly Option<int?> _perKind = new("--per-kind") { HelpName = "N", Description = "Prompts of each kind (default: the suite's)" };
    private readonly Option<int?> _repeats = new("--repeats") { HelpName = "N", Description = "Times to measure everything; medians are reported (default: the suite's)" };
    private readonly Option<int?> _sessions = new("--sessions") { HelpName = "N", Description = "Sessions at once in the suite of that name (default: 16)" };
    private readonly Option<string> _rtts = new("--rtt") { HelpName = "A,B", Description = "Round-trip times to emulate, in ms (default: the suite's)" };
    private readonly Option<string> _mbits = new("--mbit") { HelpName = "A,B", Description = "Bandwidths to emulate, in Mbit/s each way (default: 100, or the suite's)" };
    private readonly Option<DirectoryInfo> _out = new("--out", "-o") { HelpName = "DIR", Description = "Write bench.json, bench.csv, bench.md and plots (PNG, SVG) there" };
    private readonly Option<FileInfo[]> _join = new("--join")
    {
        HelpName = "FILE",
        Description = "Measure nothing: put reports of --json or --out together (links measured side by side, say) and fit across all of them",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object" };
    private readonly ModelArgument _model = new();
    private readonly WeightsArgument _weights = new();
    private readonly DraftArgument _draft = new();
    private readonly ContextArgument _context = new();
    private readonly WireArgument _wire = new();
    private readonly CutArguments _cut;
    private readonly DeviceArguments _devices;
    private readonly SamplingArguments _sampling;

    public BenchCommand()
        : base("bench", "Measure decoders over emulated links, every token checked against sequential decoding")
    {
        foreach (Option option in (Option[])[_suite, _prompts, _decoders, _tokens, _perKind, _repeats, _sessions, _rtts, _mbits, _out, _join, _json, _model, _weights, _draft, _context, _wire])
        {
            Options.Add(option);
        }

        _cut = new CutArguments(this);
        _devices = new DeviceArguments(this);
        _sampling = new SamplingArguments(this);
        foreach (Option<int?> count in (Option<int?>[])[_tokens, _perKind, _repeats, _sessions])
        {
            count.Validators.Add(result =>
            {
                // What is no number is for the parser to name: asked for its value, it would throw.
                if (result.Tokens is [.., var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out int number) && number < 1)
                {
                    result.AddError($"{count.Name} is at least 1");
                }
            });
        }

        _suite.AcceptOnlyFromAmong([.. BenchSuite.Names]);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave bench", "sequential against the best decoder at 80 ms, by kind of text"),
        ("cleave bench --suite ablation --out results", "every decoder and the paper's n-gram sweep, with tables beside the paper's and plots"),
        ("cleave bench --suite speed --rtt 20,150", "medians of five runs over 50 prompts, at the round-trip times of your choice"),
        ("cleave bench --suite rtt --decoders auto --json", "throughput from 20 to 200 ms, and how well it is predicted"),
        ("cleave bench --join rtt20.json rtt80.json rtt150.json rtt200.json", "one table and one fit of round-trip times measured side by side"),
        ("cleave bench --suite identity", "tokens and logits of every decoder against sequential, and the same while the link stalls and breaks"),
        ("cleave bench --suite sessions --sessions 16", "16 sessions at once on one worker against one at a time, every answer compared"),
        ("cleave bench --temperature 0.7 --seed 1", "the same, sampled"),
        ("cleave bench -m big.gguf --draft small.gguf --device cuda", "a model of your own on a GPU, with a small one that guesses ahead"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        using var status = new StatusLine();
        BenchReport report = parsed.GetValue(_join) is { Length: > 0 } files
            ? JoinedReports.Read(Alone(parsed, files))
            : await MeasureAsync(parsed, status, cancellationToken);
        status.Clear();

        string json = JsonSerializer.Serialize(report, ReportJson.Output.BenchReport);
        if (parsed.GetValue(_out) is { } directory)
        {
            directory.Create();
            string In(string name) => Path.Combine(directory.FullName, name);
            await File.WriteAllTextAsync(In("bench.json"), json + "\n", cancellationToken);
            await File.WriteAllTextAsync(In("bench.csv"), BenchCsv.Write(report.Runs), cancellationToken);
            await File.WriteAllTextAsync(In("bench.md"), BenchMarkdown.Write(report), cancellationToken);
            BenchPlots.Write(report, directory.FullName);
            status.Note($"written to {directory.FullName}");
        }

        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(json);
        }
        else
        {
            Console.Out.Write(BenchMarkdown.Write(report));
        }

        return report.Runs.All(static r => r.Identical) && report.Identity.All(static r => r.Different == 0) && report.Sessions.All(static r => r.Different == 0) ? ExitCode.Success : ExitCode.Mismatch;
    }

    /// <summary>The files to join; what is to be measured cannot be said beside them.</summary>
    private FileInfo[] Alone(ParseResult parsed, FileInfo[] files) =>
        Options.FirstOrDefault(option => option != _join && option != _out && option != _json && parsed.GetResult(option) is { Implicit: false }) is { } other
            ? throw new CliException($"--join measures nothing, so {other.Name} has no meaning beside it: leave it out, or measure with it first")
            : files;

    private async Task<BenchReport> MeasureAsync(ParseResult parsed, StatusLine status, CancellationToken cancellationToken)
    {
        BenchSuite suite = BenchSuite.Named(parsed.GetValue(_suite)!, Decoders(parsed), _sampling.Read(parsed), Links(parsed));
        suite = suite with
        {
            Tokens = parsed.GetValue(_tokens) ?? suite.Tokens,
            PromptsPerKind = parsed.GetValue(_perKind) ?? suite.PromptsPerKind,
            Repeats = parsed.GetValue(_repeats) ?? suite.Repeats,
            Sessions = parsed.GetValue(_sessions) ?? suite.Sessions,
        };
        IReadOnlyList<BenchPrompt> prompts = parsed.GetValue(_prompts) is { } file ? BenchPrompt.Read(file) : BenchPrompt.Bundled();
        var settings = new SplitSettings
        {
            ModelPath = _model.Path(parsed),
            DraftPath = parsed.GetValue(_draft),
            Weights = parsed.GetValue(_weights),
            Cut = _cut.Read(parsed),
            Wire = parsed.GetValue(_wire),
            Devices = _devices.Read(parsed),
            ContextTokens = parsed.GetValue(_context),
        };

        var runner = new BenchRunner(suite, settings, prompts, status.Say);
        IReadOnlyList<BenchRun> runs = await runner.RunAsync(cancellationToken);
        IReadOnlyList<LadderRung> ladder = suite.Ladder ? await OptimisationLadder.ClimbAsync(settings, runner, suite.Repeats, status.Say, cancellationToken) : [];
        return new BenchReport
        {
            Environment = runner.Environment!,
            Suite = parsed.GetValue(_suite)!,
            Runs = runs,
            RttModel = RttFit.Of(runs),
            Ladder = ladder,
            LocalOnlyTokensPerSecond = runner.LocalOnlyTokensPerSecond,
            Identity = runner.Identity,
            Sessions = runner.Sessions,
        };
    }

    /// <summary>Every round-trip time with every bandwidth; null when neither is given.</summary>
    private BenchLink[]? Links(ParseResult parsed)
    {
        (string? rtts, string? mbits) = (parsed.GetValue(_rtts), parsed.GetValue(_mbits));
        return rtts is null && mbits is null
            ? null
            : [.. from rtt in Numbers("--rtt", rtts ?? "80", 0, 10_000) from mbit in Numbers("--mbit", mbits ?? "100", 0.01, 100_000) select new BenchLink(rtt, mbit, mbit)];
    }

    private static double[] Numbers(string option, string text, double least, double most) =>
    [
        .. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(part =>
            double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= least && value <= most
                ? value
                : throw new CliException(string.Create(CultureInfo.InvariantCulture, $"{option}: '{part}' is not a number from {least} to {most}; write, for example, {option} 20,80"))),
    ];

    private IReadOnlyList<string>? Decoders(ParseResult parsed)
    {
        if (parsed.GetValue(_decoders) is not { } text)
        {
            return null;
        }

        string[] names = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (string name in names)
        {
            if (!DecoderCatalog.Has(name))
            {
                throw new CliException($"there is no decoder '{name}'; the decoders are {string.Join(", ", DecoderCatalog.Names)}");
            }
        }

        return [.. names.Where(static name => name != "sequential")];
    }
}
