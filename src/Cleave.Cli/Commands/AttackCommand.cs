using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Privacy;
using Cleave.Cli.Terminal;
using Cleave.Compute.Gpu;
using Cleave.Compute.Gpu.Training;
using Cleave.Inference;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Report;
using Cleave.PrivacyLab.Study;

namespace Cleave.Cli.Commands;

/// <summary>
/// <c>cleave attack</c>: the experiments of docs/PRIVACY-STUDY.md. With an output folder every table is written as soon as it is made, and a
/// table that is there already is not made again, so an interrupted study goes on where it stopped.
/// </summary>
internal sealed class AttackCommand : TaughtCommand
{
    /// <summary>Those that need no worker process, and those that do.</summary>
    private static readonly IExperiment[] Experiments = [.. ExperimentCatalog.All, new TrafficExperiment(), new DefenceCostExperiment()];

    private readonly Argument<string[]> _experiments = new("EXPERIMENT")
    {
        HelpName = "EXPERIMENT",
        Description = "Which; all when none is named\n" + string.Join("\n", Experiments.Select(static e => $"{e.Name}: {e.Description}")),
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<bool> _study = new("--study") { Description = "At the size of docs/PRIVACY-STUDY.md: 208 documents, three seeds, up to 16 pairs for every token of the vocabulary (hours)" };
    private readonly Option<int?> _documents = new("--documents") { HelpName = "N", Description = "Documents attacked (default: 32; the study's 208)" };
    private readonly Option<int?> _seeds = new("--seeds") { HelpName = "N", Description = "Seeds of every learned attack (default: 1; the study's 3)" };
    private readonly Option<int?> _pairs = new("--pairs") { HelpName = "N", Description = "Most pairs a learned attack may use (default: 24,576; the study's 200,000)" };
    private readonly Option<int[]> _depths = new("--depths")
    {
        HelpName = "A,B",
        Description = "Local layers at the front, where a table goes over them (default: 2,4,6,8)",
        CustomParser = Parsed.With(ReadDepths),
    };

    private readonly Option<bool> _closedForms = new("--closed-forms") { Description = "Leave the networks out of the table of learned attacks: minutes instead of hours" };
    private readonly Option<FileSystemInfo> _texts = new("--texts") { HelpName = "PATH", Description = "Texts to attack: JSON lines {\"text\", \"domain\", \"id\", \"source\"}, or a folder of such files (default: the bundled ones)" };
    private readonly Option<FileSystemInfo> _attackerTexts = new("--attacker-texts") { HelpName = "PATH", Description = "Texts attackers train on, as --texts (default: the bundled ones)" };
    private readonly Option<DirectoryInfo> _out = new("--out", "-o") { HelpName = "DIR", Description = "Write NAME.json for each experiment there, and study.md; what is there already is kept" };
    private readonly Option<bool> _json = new("--json") { Description = "Print the tables as one JSON array" };
    private readonly Option<int> _sideBySide = new("--side-by-side")
    {
        HelpName = "N",
        Description = "Runs of a table made at a time, which share the processors (tables of noise, private ends, malicious workers, strengthening and costs)",
        DefaultValueFactory = static _ => 1,
        CustomParser = Parsed.With(ReadCount),
    };

    private readonly DeviceArgument _device = new("--device", $"Where models run and networks train: {DeviceSelector.Syntax} (default: cpu). With a GPU the table of learned attacks has the paper's network at every depth and budget");
    private readonly ModelArgument _model = new();

    public AttackCommand()
        : base("attack", "Attack your own split: every attack, control and defence of the study, with intervals")
    {
        Arguments.Add(_experiments);
        foreach (Option option in (Option[])[_study, _documents, _seeds, _pairs, _depths, _closedForms, _texts, _attackerTexts, _device, _sideBySide, _out, _json, _model])
        {
            Options.Add(option);
        }

        _experiments.AcceptOnlyFromAmong([.. Experiments.Select(static e => e.Name)]);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave attack whitebox", "what an operator who has the public weights reads, at every depth (about five minutes)"),
        ("cleave attack paper --seeds 3", "the paper's depth table beside its coverage ceiling"),
        ("cleave attack learned --study --device cuda", "inversion learned from pairs, the networks trained on a GPU"),
        ("cleave attack --study --out privacy-study", "the whole study; run again to go on after an interruption"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        string[] names = parsed.GetValue(_experiments) is { Length: > 0 } given ? given : [.. Experiments.Select(static e => e.Name)];
        DirectoryInfo? directory = parsed.GetValue(_out);
        directory?.Create();
        using var status = new StatusLine();
        int sideBySide = parsed.GetValue(_sideBySide);
        var request = new DeviceRequest
        {
            Name = parsed.GetValue(_device) ?? "cpu",
            EmbeddingOnHost = false,
            CpuThreads = sideBySide == 1 ? null : Math.Max(1, Environment.ProcessorCount / sideBySide),
        };
        using var bench = new LabBench(
            _model.Path(parsed), Read(parsed.GetValue(_texts)), Read(parsed.GetValue(_attackerTexts)), () => DeviceSelector.Open(request));
        if (bench.Device is GpuDevice gpu)
        {
            bench.Trainer = new GpuPerceptronTrainer(gpu);
        }

        var saying = new Lock();
        StudySettings settings = Settings(parsed) with
        {
            SideBySide = sideBySide,
            TrainsFast = bench.Device is GpuDevice,
            Say = what =>
            {
                // Training loops ask nobody: between two of them an interruption is heard.
                cancellationToken.ThrowIfCancellationRequested();
                lock (saying)
                {
                    status.Say(what);
                }
            },
        };
        string? Problem(int depth) => new Cut(depth, settings.Tail).Validate(bench.Source.Config.Layers);
        if (parsed.GetValue(_depths)?.Select(Problem).FirstOrDefault(static problem => problem is not null) is { } problem)
        {
            throw new CliException($"--depths: {problem}");
        }

        // A model may have fewer layers than the study's depths need.
        settings = settings with { Depths = [.. settings.Depths.Where(depth => Problem(depth) is null)] };
        var tables = new List<StudyTable>();
        foreach (string name in names)
        {
            string? file = directory is null ? null : Path.Combine(directory.FullName, name + ".json");
            if (file is not null && File.Exists(file))
            {
                status.Note($"{name}: kept from {file}");
                tables.Add(JsonSerializer.Deserialize(await File.ReadAllTextAsync(file, cancellationToken), PrivacyReportJson.Default.StudyTable)!);
                continue;
            }

            long started = Stopwatch.GetTimestamp();
            StudyTable table = await Experiments.First(e => e.Name == name).RunAsync(bench, settings, cancellationToken);
            table = table with { Command = CommandLine(parsed, name), Seconds = Math.Round(Stopwatch.GetElapsedTime(started).TotalSeconds, 1) };
            tables.Add(table);
            if (file is not null)
            {
                await WriteAsync(file, JsonSerializer.Serialize(table, PrivacyReportJson.Default.StudyTable), cancellationToken);
                await WriteAsync(Path.Combine(directory!.FullName, "study.md"), Markdown(tables), cancellationToken);
            }
        }

        status.Clear();
        Console.Out.WriteLine(parsed.GetValue(_json) ? JsonSerializer.Serialize(tables, PrivacyReportJson.Default.IReadOnlyListStudyTable) : Markdown(tables));
        return ExitCode.Success;
    }

    private StudySettings Settings(ParseResult parsed)
    {
        StudySettings size = parsed.GetValue(_study) ? new StudySettings() : new StudySettings { Documents = 32, Seeds = [1], MaxPairs = 24_576 };
        return size with
        {
            Documents = parsed.GetValue(_documents) ?? size.Documents,
            Seeds = parsed.GetValue(_seeds) is { } seeds ? [.. Enumerable.Range(1, seeds)] : size.Seeds,
            MaxPairs = parsed.GetValue(_pairs) ?? size.MaxPairs,
            Networks = !parsed.GetValue(_closedForms),
            Depths = parsed.GetValue(_depths) is { Length: > 0 } depths ? depths : size.Depths,
        };
    }

    private string CommandLine(ParseResult parsed, string name)
    {
        var line = new List<string> { "cleave attack", name };
        void Add(Option option, object? value)
        {
            if (value is not null && parsed.GetResult(option) is { Implicit: false })
            {
                line.Add(value is true ? option.Name : FormattableString.Invariant($"{option.Name} {value}"));
            }
        }

        Add(_study, parsed.GetValue(_study) ? true : null);
        Add(_documents, parsed.GetValue(_documents));
        Add(_seeds, parsed.GetValue(_seeds));
        Add(_pairs, parsed.GetValue(_pairs));
        Add(_depths, parsed.GetValue(_depths) is { Length: > 0 } depths ? string.Join(',', depths) : null);
        Add(_closedForms, parsed.GetValue(_closedForms) ? true : null);
        Add(_texts, parsed.GetValue(_texts)?.Name);
        Add(_attackerTexts, parsed.GetValue(_attackerTexts)?.Name);
        Add(_device, parsed.GetValue(_device));
        Add(_sideBySide, parsed.GetValue(_sideBySide));
        return string.Join(' ', line);
    }

    private static IReadOnlyList<CorpusDocument>? Read(FileSystemInfo? path) => path switch
    {
        null => null,
        DirectoryInfo folder => CorpusSet.ReadFolder(folder.FullName),
        _ => CorpusSet.Read(path.FullName),
    };

    private static int[] ReadDepths(string? text) =>
    [
        .. (text ?? "").Split(',', StringSplitOptions.TrimEntries).Select(part =>
            int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int depth) && depth > 0
                ? depth
                : throw new FormatException($"--depths takes numbers of layers from 1 on, with commas between them, not '{part}'")),
    ];

    private static int ReadCount(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0
            ? count
            : throw new FormatException($"--side-by-side takes a number of runs from 1 on, not '{text}'");

    private static string Markdown(IReadOnlyList<StudyTable> tables) => string.Join('\n', tables.Select(static t => t.ToMarkdown()));

    // A table half written must not pass for one that is made.
    private static async Task WriteAsync(string path, string text, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(path + ".part", text, cancellationToken);
        File.Move(path + ".part", path, overwrite: true);
    }
}
