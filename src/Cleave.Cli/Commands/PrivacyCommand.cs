using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Inference.Audit;
using Cleave.Inference.Decoding;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Report;
using Cleave.Protocol.Pairing;

namespace Cleave.Cli.Commands;

/// <summary>
/// <c>cleave privacy</c>: what an operator of the worker reads of this user's own split.
/// <list type="number">
/// <item>run a conversation over the split and its worker, and audit all of it;</item>
/// <item>attack sessions of the same cut, wire and noise;</item>
/// <item>report, the worst tier that applies first.</item>
/// </list>
/// </summary>
internal sealed class PrivacyCommand : TaughtCommand
{
    private readonly Option<string> _base = new("--base")
    {
        HelpName = "PATH",
        Description = "The published model yours was tuned from, if your head and tail are private; without it all weights are taken as public",
    };

    private readonly Option<int> _documents = new("--documents") { HelpName = "N", Description = "Documents attacked", DefaultValueFactory = static _ => 32 };
    private readonly Option<FileInfo> _html = new("--html") { HelpName = "FILE", Description = "Write the report as one self-contained page with plots" };
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object" };
    private readonly SplitArguments _split;
    private readonly PrivacyArguments _privacy;

    public PrivacyCommand()
        : base("privacy", "Report what the worker's operator can read of your split, by attacking it (under 5 minutes for the bundled model)")
    {
        foreach (Option option in (Option[])[_base, _documents, _html, _json])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        _privacy = new PrivacyArguments(this, audits: false);
        _documents.Validators.Add(static result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out int count) && count < 4)
            {
                result.AddError($"--documents is {count}; it is at least 4, one of each kind of text");
            }
        });
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave privacy", "the bundled model, cut as run and chat cut it"),
        ("cleave privacy --head 4 --tail 4 --html privacy.html", "another cut, as a page to hand on"),
        ("cleave privacy --noise 1000 --json", "with embedding noise; attackers know its law"),
        ("cleave privacy --model tuned.gguf --base published.gguf --worker-file worker.link", "ends tuned in private, on a worker elsewhere, which is audited"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SplitSettings settings = _split.Read(parsed) with { Privacy = _privacy.Read(parsed) with { AuditShare = 1 } };
        if (settings.Cut is not { } cut)
        {
            Console.Out.WriteLine(VerdictLine.Local);
            return ExitCode.Success;
        }

        // 1. The worker.
        using var status = new StatusLine();
        (ReportedWorker worker, AuditReport? audit, Inference.Privacy.EmbeddingNoiseOptions? noise) = await MeetAsync(settings, status, cancellationToken);

        // 2. Attacks.
        PrivacyReport report = await PrivacyMeter.MeasureAsync(
            new MeterSettings
            {
                ModelPath = settings.ModelPath,
                Cut = cut,
                Wire = settings.Wire,
                PublicBasePath = parsed.GetValue(_base),
                Noise = noise,
                FixedShape = settings.Privacy.Shape is not null,
                Documents = parsed.GetValue(_documents),
                Say = status.Say,
            },
            cancellationToken);

        // 3. The report.
        report = report with
        {
            Worker = worker,
            Audit = audit?.ToString()["audit: ".Length..] ?? "nothing came back to audit",
            SideChannel = settings.Privacy.Shape is { } shape
                ? FormattableString.Invariant($"fixed shape: {shape.Rows} rows every {shape.Tick.TotalMilliseconds:F0} ms, turns of {shape.SmallestTurn} frames or a power of two times as many; hides from the network alone")
                : report.SideChannel,
        };
        status.Clear();
        if (parsed.GetValue(_html) is { } file)
        {
            await File.WriteAllTextAsync(file.FullName, ReportPage.Write(report), cancellationToken);
            status.Note($"written to {file.FullName}");
        }

        Console.Out.Write(parsed.GetValue(_json)
            ? JsonSerializer.Serialize(report, PrivacyReportJson.Default.PrivacyReport) + "\n"
            : ReportText.Write(report));
        return audit?.Passed ?? true ? ExitCode.Success : ExitCode.Mismatch;
    }

    /// <summary>A conversation over the worker, audited whole.</summary>
    private static async Task<(ReportedWorker Worker, AuditReport? Audit, Inference.Privacy.EmbeddingNoiseOptions? Noise)> MeetAsync(
        SplitSettings settings, StatusLine status, CancellationToken cancellationToken)
    {
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken, status.Interject);
        await using TextGenerator generator = await host.OpenAsync("suffix", cancellationToken);
        status.Say("auditing the worker");
        await Answer.GenerateAsync(
            generator, Conversation.PlainIds(host.Model.Tokenizer, CorpusSet.Evaluation[0].Text),
            new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 32 } }, null, cancellationToken);
        (_, AuditReport? audit) = await host.Audit.SettleAsync(cancellationToken);
        bool isOurs = host.WorkerProcessId is not null;
        PairingLink link = host.PairingLink!;
        return (new ReportedWorker(isOurs ? "a worker process on this machine" : link.Address, PairingLink.FormatFingerprint(link.Fingerprint.Span), "none"), audit, host.Noise);
    }
}
