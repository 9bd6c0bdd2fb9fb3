using System.CommandLine;
using Cleave.Cli.Arguments;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave chat</c>: a conversation. Each turn sends only what is new.</summary>
internal sealed class ChatCommand : TaughtCommand
{
    private readonly Interrupts _interrupts;
    private readonly Option<string> _system = new("--system") { HelpName = "TEXT", Description = "System message at the start" };
    private readonly Option<int> _maxTokens = new("--max-tokens", "-n") { HelpName = "N", Description = "Most tokens of each answer", DefaultValueFactory = static _ => 512 };
    private readonly Option<bool> _continue = new("--continue", "-c")
    {
        Description = "Go on with the conversation written last, also after this program was killed: no message is lost, and an answer that was cut off comes again",
    };

    private readonly Option<bool> _noSave = new("--no-save")
    {
        Description = "Keep the conversation in memory only. Otherwise it is kept as plain text on this machine, readable by you alone, "
            + "in $XDG_STATE_HOME/cleave/chats (default ~/.local/state/cleave/chats); remove a file there to forget it, or use /reset",
    };

    private readonly DecoderArgument _decoder = new();
    private readonly SplitArguments _split;
    private readonly PrivacyArguments _privacy;
    private readonly SamplingArguments _sampling;

    public ChatCommand(Interrupts interrupts)
        : base("chat", "Talk to the model over the split; Ctrl-C stops an answer, /help lists the commands")
    {
        _interrupts = interrupts;
        foreach (Option option in (Option[])[_system, _maxTokens, _continue, _noSave, _decoder])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        _privacy = new PrivacyArguments(this, audits: true);
        _sampling = new SamplingArguments(this);
        Validators.Add(result =>
        {
            if (result.GetValue(_continue) && result.GetValue(_noSave))
            {
                result.AddError("--continue and --no-save exclude each other: what goes on goes on in its file");
            }
        });
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave chat", "a worker process is started for the conversation"),
        ("cleave chat --continue", "go on where the last one ended, however it ended"),
        ("cleave chat --worker-file worker.link --temperature 0.7", "on a worker elsewhere, sampled"),
        ("cleave chat --wan 80ms --decoder sequential", "what one token a round trip feels like"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SamplingOptions sampling = _sampling.Read(parsed);
        using ChatFile? file = parsed.GetValue(_noSave) ? null
            : parsed.GetValue(_continue) ? ChatFile.OpenLatest(ChatFile.DefaultFolder())
            : ChatFile.Create(ChatFile.DefaultFolder());
        if (file?.Stored is { } stored && !_sampling.HasSeed(parsed))
        {
            sampling = sampling with { Seed = stored.Seed };
        }

        using var status = new StatusLine();
        SplitSettings settings = _split.Read(parsed) with { Privacy = _privacy.Read(parsed) };
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken, status.Interject);
        await using TextGenerator generator = await host.OpenAsync(parsed.GetValue(_decoder)!, cancellationToken);
        status.Clear();
        Console.Error.WriteLine(PrivacyVerdict.For(host));
        var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = parsed.GetValue(_maxTokens) }, PrefillProgress = new PromptProgress(status) };
        await using (var place = new ConversationPlace(generator, settings.Cut is null ? null : settings.Privacy.KeepLocal, () => host.OpenLocal(parsed.GetValue(_decoder)!)))
        {
            var session = new ChatSession(place, options, parsed.GetValue(_system), _interrupts, file, Path.GetFileName(settings.ModelPath), status);
            await session.RunAsync(cancellationToken);
        }

        return await AuditNote.ShowAsync(host, status, cancellationToken) ? ExitCode.Success : ExitCode.Mismatch;
    }
}
