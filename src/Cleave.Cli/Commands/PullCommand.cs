using System.CommandLine;
using Cleave.Cli.Arguments;
using Cleave.Cli.Terminal;
using Cleave.Models.Hub;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave pull</c>: a model from a hub into the cache that other tools share.</summary>
internal sealed class PullCommand : TaughtCommand
{
    private readonly Argument<HubName> _name = new("model")
    {
        HelpName = "OWNER/NAME[:file]",
        Description = "The model; after a colon a file of it, or the part of a GGUF file's name that tells it from the others, such as Q4_K_M",
        CustomParser = Parsed.With(HubName.Parse),
    };

    private readonly Option<string> _revision = new("--revision") { HelpName = "REV", Description = "Branch, tag or commit", DefaultValueFactory = static _ => "main" };

    public PullCommand()
        : base("pull", "Fetch a model from a hub, into the cache that other tools of the hub share")
    {
        Arguments.Add(_name);
        Options.Add(_revision);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave pull Qwen/Qwen3-0.6B", "a checkpoint; then cleave run --model Qwen/Qwen3-0.6B"),
        ("cleave pull OWNER/NAME-GGUF:Q4_K_M", "one quantisation of many"),
        ("HF_TOKEN=... cleave pull OWNER/GATED", "a gated model, after accepting its licence; HF_ENDPOINT names another hub, HF_HUB_CACHE another folder"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        HubName name = parsed.GetValue(_name)!;
        HubSettings settings = HubSettings.FromEnvironment();
        using var status = new StatusLine();
        status.Say($"asking {settings.Endpoint.Host} for {name}");
        using var pull = new HubPull(settings);
        string path;
        using (var progress = new PullStatus(status))
        {
            path = await pull.ModelAsync(name, parsed.GetValue(_revision)!, progress, cancellationToken);
        }

        status.Clear();
        Console.Out.WriteLine(path);
        return ExitCode.Success;
    }
}
