using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Tokenization;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave run</c>: one prompt, one answer.</summary>
internal sealed class RunCommand : TaughtCommand
{
    private readonly Option<string> _prompt = new("--prompt", "-p") { HelpName = "TEXT", Description = "The prompt, sent as it is after BOS; - reads standard input" };
    private readonly Option<FileInfo> _promptFile = new("--prompt-file") { HelpName = "FILE", Description = "Read the prompt from a file" };
    private readonly Option<bool> _chat = new("--chat") { Description = "Wrap the prompt as a user's message in the model's chat template" };
    private readonly Option<int> _maxTokens = new("--max-tokens", "-n") { HelpName = "N", Description = "Most tokens to generate", DefaultValueFactory = static _ => 256 };
    private readonly Option<bool> _noStop = new("--no-stop") { Description = "Do not stop at the end-of-turn token" };
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object with text, tokens and measurements" };
    private readonly DecoderArgument _decoder = new();
    private readonly SplitArguments _split;
    private readonly PrivacyArguments _privacy;
    private readonly SamplingArguments _sampling;

    public RunCommand()
        : base("run", "Answer one prompt over the split")
    {
        foreach (Option option in (Option[])[_prompt, _promptFile, _chat, _maxTokens, _noStop, _json, _decoder])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        _privacy = new PrivacyArguments(this, audits: true);
        _sampling = new SamplingArguments(this);
        Validators.Add(result =>
        {
            bool file = result.GetResult(_promptFile) is not null;
            if (file == (result.GetResult(_prompt) is not null))
            {
                result.AddError(file ? "--prompt and --prompt-file exclude each other" : "a prompt is missing: give --prompt TEXT, --prompt - or --prompt-file FILE");
            }
        });
        _maxTokens.Validators.Add(static result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out int count) && count < 1)
            {
                result.AddError($"--max-tokens is {count}; it is at least 1");
            }
        });
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave run --chat --prompt \"Name five musical instruments.\"", "a worker process is started for the run; the bundled model answers"),
        ("cleave run --prompt \"Once upon a time\" --wan 80ms,20mbit,100mbit --decoder sequential --json", "over an emulated link, one token a round trip, with measurements"),
        ("cleave run --prompt-file p.txt --model M.gguf --head 2 --tail 3 --worker-file worker.link", "on a worker elsewhere, its link read from a file"),
        ("cleave run --local --prompt \"Once upon a time\" --temperature 0.7 --seed 7", "unsplit and sampled; the same seed gives the same text on a split"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SamplingOptions sampling = _sampling.Read(parsed);
        SplitSettings settings = _split.Read(parsed) with { Privacy = _privacy.Read(parsed) };
        string prompt = await ReadPromptAsync(parsed, cancellationToken);
        string? kept = settings.Cut is null ? null : settings.Privacy.KeepLocal?.Reason(prompt);
        settings = kept is null ? settings : settings.Unsplit;
        bool json = parsed.GetValue(_json);

        using var status = new StatusLine();
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken, status.Interject);
        await using TextGenerator generator = await host.OpenAsync(parsed.GetValue(_decoder)!, cancellationToken);
        status.Say("reading the prompt");
        Answer answer = await Answer.GenerateAsync(
            generator,
            PromptIds(host.Model.Tokenizer, prompt, parsed.GetValue(_chat)),
            new GenerationOptions
            {
                Sampling = sampling,
                Decoding = new DecodingOptions { MaxTokens = parsed.GetValue(_maxTokens), StopAtEndOfTurn = !parsed.GetValue(_noStop) },
                PrefillProgress = new PromptProgress(status),
            },
            json ? null : (text, _) =>
            {
                status.Clear();
                Console.Out.Write(text);
            },
            cancellationToken);
        status.Clear();

        RunReport report = RunReport.From(answer, sampling.Seed, host, generator.Session.Middle.KernelFingerprint);
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ReportJson.Output.RunReport));
        }
        else
        {
            Console.Out.WriteLine();
            status.Note(FormattableString.Invariant(
                $"{report.Tokens.Count} tokens, {report.TokensPerSecond:F1} tok/s, {report.TokensPerRoundTrip:F2} tokens per round trip, RTT {report.RttMs:F1} ms, {report.BytesUp:N0} bytes up, {report.BytesDown:N0} down")
                + (sampling.IsGreedy ? "" : FormattableString.Invariant($", seed {report.Seed}")));
        }

        if (kept is not null)
        {
            status.Note($"kept on this machine: the prompt matches the rule {kept}");
        }

        status.Note(PrivacyVerdict.For(host));
        return await AuditNote.ShowAsync(host, status, cancellationToken) ? ExitCode.Success : ExitCode.Mismatch;
    }

    private async Task<string> ReadPromptAsync(ParseResult parsed, CancellationToken cancellationToken) =>
        parsed.GetValue(_promptFile) is { } file ? await File.ReadAllTextAsync(file.FullName, cancellationToken)
        : parsed.GetValue(_prompt) is "-" ? await Console.In.ReadToEndAsync(cancellationToken)
        : parsed.GetValue(_prompt)!;

    private static int[] PromptIds(Tokenizer tokenizer, string prompt, bool chat) => chat
        ? Conversation.PromptIds(tokenizer, [new ChatTurn("user", prompt)])
        : Conversation.PlainIds(tokenizer, prompt);
}
