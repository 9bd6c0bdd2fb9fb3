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
    private readonly DecoderArgument _decoder = new();
    private readonly SplitArguments _split;
    private readonly SamplingArguments _sampling;

    public ChatCommand(Interrupts interrupts)
        : base("chat", "Talk to the model over the split; Ctrl-C stops an answer, /help lists the commands")
    {
        _interrupts = interrupts;
        foreach (Option option in (Option[])[_system, _maxTokens, _decoder])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        _sampling = new SamplingArguments(this);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave chat", "a worker process is started for the conversation"),
        ("cleave chat --worker-file worker.link --temperature 0.7", "on a worker elsewhere, sampled"),
        ("cleave chat --wan 80ms --decoder sequential", "what one token a round trip feels like"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SamplingOptions sampling = _sampling.Read(parsed);
        using var status = new StatusLine();
        await using SplitHost host = await SplitHost.StartAsync(_split.Read(parsed), status.Say, cancellationToken, status.Interject);
        await using TextGenerator generator = await host.OpenAsync(parsed.GetValue(_decoder)!, cancellationToken);
        status.Clear();
        Console.Error.WriteLine(PrivacyVerdict.For(host));
        var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = parsed.GetValue(_maxTokens) } };
        var session = new ChatSession(generator, options, parsed.GetValue(_system), _interrupts);
        await session.RunAsync(cancellationToken);
        return ExitCode.Success;
    }
}
