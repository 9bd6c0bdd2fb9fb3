using System.CommandLine;
using Cleave.Cli.Arguments;
using Cleave.Cli.Demonstration;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Spectre.Console;

namespace Cleave.Cli.Commands;

/// <summary>
/// <c>cleave demo</c>: the whole system on one machine. A worker process, an emulated link and this process answer the same
/// prompts twice, one token a round trip and with the best decoder, and the tokens are compared.
/// </summary>
internal sealed class DemoCommand : TaughtCommand
{
    private const string DefaultWan = "80ms,100mbit,100mbit";
    private const string Baseline = "sequential";

    private readonly Option<int> _maxTokens = new("--max-tokens", "-n") { HelpName = "N", Description = "Most tokens of each answer", DefaultValueFactory = static _ => 64 };
    private readonly Option<int> _prompts = new("--prompts")
    {
        HelpName = "N",
        Description = $"How many of the {DemoPrompt.All.Count} prompts to run",
        DefaultValueFactory = static _ => DemoPrompt.All.Count,
    };

    private readonly DecoderArgument _decoder = new();
    private readonly SplitArguments _split;
    private readonly SamplingArguments _sampling;

    public DemoCommand()
        : base("demo", "Show it all on this machine: a worker process, an emulated 80 ms link, and both decoders side by side")
    {
        Options.Add(_decoder);
        Options.Add(_maxTokens);
        Options.Add(_prompts);
        _split = new SplitArguments(this, DefaultWan);
        _sampling = new SamplingArguments(this);
        _prompts.Validators.Add(static result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out int prompts) && (prompts < 1 || prompts > DemoPrompt.All.Count))
            {
                result.AddError($"--prompts is {prompts}; there are 1 to {DemoPrompt.All.Count}");
            }
        });
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave demo", "the bundled model over an emulated 80 ms link"),
        ("cleave demo --wan 20ms --head 4 --tail 4", "a shorter link and more layers on this side"),
        ("cleave demo --temperature 0.8 --seed 7", "sampled: both decoders still give the same tokens"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SplitSettings settings = _split.Read(parsed) with { Sessions = 2 };
        var options = new GenerationOptions
        {
            Sampling = _sampling.Read(parsed),
            Decoding = new DecodingOptions { MaxTokens = parsed.GetValue(_maxTokens) },
        };

        using var status = new StatusLine();
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken, status.Interject);
        await using TextGenerator sequential = await host.OpenAsync(Baseline, cancellationToken);
        await using TextGenerator fast = await host.OpenAsync(parsed.GetValue(_decoder)!, cancellationToken);
        status.Clear();
        IAnsiConsole console = Screen.Create();
        console.WriteLine(Describe(host, settings));

        var baseline = new DecoderTotals(sequential.Drafter.Name);
        var best = new DecoderTotals(fast.Drafter.Name);
        foreach (DemoPrompt prompt in DemoPrompt.All.Take(parsed.GetValue(_prompts)))
        {
            console.WriteLine();
            console.Write(new Rule($"[bold]{Markup.Escape(prompt.Kind)}[/]: {Markup.Escape(prompt.Title)}") { Justification = Justify.Left });
            int[] ids = prompt.IsChat
                ? Conversation.PromptIds(host.Model.Tokenizer, [new ChatTurn("user", prompt.Text)])
                : Conversation.PlainIds(host.Model.Tokenizer, prompt.Text);
            foreach ((TextGenerator generator, DecoderTotals totals) in ((TextGenerator, DecoderTotals)[])[(sequential, baseline), (fast, best)])
            {
                console.MarkupLine($"[dim]{Markup.Escape(totals.Decoder)}[/]");
                totals.Add(await Answer.GenerateAsync(generator, ids, options, (text, drafted) => Show(console, text, drafted), cancellationToken));
                console.WriteLine();
            }
        }

        console.WriteLine();
        DemoTable.Write(console, baseline, best, host.Cut is null);
        console.WriteLine(host.Cut is null ? "" : FormattableString.Invariant($"RTT measured by ping: {fast.RttMs:F1} ms. Drafted tokens that were accepted are shown in green."));
        console.WriteLine("The bundled model is small and partly trained on templated text: a large model's answers are less predictable.");
        console.WriteLine(PrivacyVerdict.For(host));
        if (DemoTable.FirstDifference(baseline, best) is > 0 and var at)
        {
            Console.Error.WriteLine($"error: the tokens of answer {at} differ between {baseline.Decoder} and {best.Decoder}");
            return ExitCode.Mismatch;
        }

        return ExitCode.Success;
    }

    private static void Show(IAnsiConsole console, string text, bool drafted) =>
        console.Write(new Text(text, drafted ? new Style(Color.Green) : Style.Plain));

    private static string Describe(SplitHost host, SplitSettings settings)
    {
        int layers = host.Model.Config.Layers;
        if (host.Cut is not { } cut)
        {
            return $"{host.Model.Config.Name}: all {layers} layers on this machine, unsplit";
        }

        string where = host.WorkerProcessId is { } id ? $"worker process {id}" : "the worker";
        string link = settings.Wan is { } wan ? FormattableString.Invariant($"an emulated link of {wan.Rtt.TotalMilliseconds:0.###} ms") : "the link as it is";
        return $"{host.Model.Config.Name}: layers {cut.HeadRange} and {cut.TailRange(layers)} here, {cut.MiddleRange(layers)} in {where}, {link} between";
    }
}
