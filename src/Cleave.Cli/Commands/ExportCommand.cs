using System.CommandLine;
using Cleave.Cli.Arguments;
using Cleave.Models;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave export</c>: the file a worker needs, without embedding, LM head and vocabulary.</summary>
internal sealed class ExportCommand : TaughtCommand
{
    private readonly ModelArgument _model = new();
    private readonly Option<LayerRange> _layers = new("--layers")
    {
        HelpName = "A..B",
        Description = "Layers to write: A up to but not including B",
        Required = true,
        CustomParser = Parsed.With(static text => LayerRange.TryParse(text, out LayerRange range) && range.Count > 0
            ? range
            : throw new FormatException($"'{text}' is no range of layers: write A..B, such as 2..10 for layers 2 to 9")),
    };

    private readonly Option<string> _out = new("--out", "-o") { HelpName = "FILE", Description = "File to write", Required = true };
    private readonly Option<bool> _force = new("--force") { Description = "Replace the file when it exists" };

    public ExportCommand()
        : base("export", "Write a middle-only model file for a worker: no embedding, no LM head, no vocabulary")
    {
        Options.Add(_model);
        Options.Add(_layers);
        Options.Add(_out);
        Options.Add(_force);
        SetAction((parsed, cancellationToken) => Task.Run(() => Run(parsed, cancellationToken), cancellationToken));
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave export --layers 2..10 --out middle.gguf", "the middle of the bundled model, for --head 2 --tail 2"),
        ("cleave-worker --model middle.gguf --layers 2..10", "then, on the worker"),
    ];

    private int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        string path = parsed.GetValue(_out)!;
        if (File.Exists(path) && !parsed.GetValue(_force))
        {
            throw new CliException($"{path} exists", "add --force to replace it, or name another file");
        }

        using IModelSource source = _model.Open(parsed);
        LayerRange range = parsed.GetValue(_layers);
        MiddleExport.Write(source, range, path, progress: null, cancellationToken);
        Console.WriteLine(FormattableString.Invariant(
            $"{path}: layers {range} of {source.Config.Layers}, {new FileInfo(path).Length / 1e6:F1} MB of {new FileInfo(source.Path).Length / 1e6:F1}"));
        return ExitCode.Success;
    }
}
