using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Reports;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Models;
using Spectre.Console;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave inspect</c>: what a model is, and what each side of a cut needs.</summary>
internal sealed class InspectCommand : TaughtCommand
{
    private readonly ModelArgument _model = new();
    private readonly CutArguments _cut;
    private readonly Option<int?> _context = new("--context") { HelpName = "N", Description = "Tokens the key-value caches are sized for (default: the model's context)" };
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object" };

    public InspectCommand()
        : base("inspect", "Show what a model is: layers, sizes, and the memory each side of a cut needs")
    {
        Options.Add(_model);
        _cut = new CutArguments(this);
        Options.Add(_context);
        Options.Add(_json);
        SetAction(Run);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave inspect", "the bundled model, cut two and two"),
        ("cleave inspect --model M.gguf --head 4 --tail 4 --context 8192", "another model and cut, with caches for 8192 tokens"),
    ];

    private int Run(ParseResult parsed)
    {
        using IModelSource source = _model.Open(parsed);
        bool whole = source.HasEnds && source.Layers.Count == source.Config.Layers;
        Cut cut = whole ? _cut.Read(parsed, source.Config.Layers) : _cut.Read(parsed);
        InspectReport report = InspectReport.Of(source, cut, parsed.GetValue(_context) ?? source.Config.ContextLength);
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ReportJson.Output.InspectReport));
        }
        else
        {
            Show(report, parsed.GetValue(_context) ?? source.Config.ContextLength);
        }

        return ExitCode.Success;
    }

    private static void Show(InspectReport report, int contextTokens)
    {
        IAnsiConsole console = Screen.Create();
        Table facts = new Table().Border(TableBorder.None).HideHeaders().AddColumn("").AddColumn("");
        void Fact(string name, FormattableString value) => facts.AddRow(new Text(name, new Style(decoration: Decoration.Dim)), new Text(FormattableString.Invariant(value)));
        Fact("file", $"{report.Path}");
        Fact("model", $"{report.Name} ({report.Architecture}, {report.Parameters / 1e6:F1}M parameters)");
        Fact("layers", $"{report.Layers}{(report.HasEnds ? "" : $", of which this file holds {report.LayersInFile} and neither embedding nor LM head")}");
        Fact("hidden", $"{report.HiddenSize}; feed-forward {report.FeedForwardSize}");
        Fact("attention", $"{report.Heads} query heads, {report.KvHeads} key-value heads of {report.HeadDim}");
        Fact("vocabulary", $"{report.VocabularySize}{(report.TiedEmbeddings ? ", embedding and LM head tied" : "")}");
        Fact("context", $"{report.ContextLength} tokens");
        Fact("weights", $"{string.Join(", ", report.BytesByType.Select(static pair => FormattableString.Invariant($"{pair.Key} {ByteText.Of(pair.Value)}")))}");
        if (report.PackedBytes is { } packed)
        {
            Fact("packed", $"{(report.HasEnds ? "layers and LM head" : "layers")} in {ByteText.Of(packed)} of memory with --weights packed, on a CPU with AVX-512 VBMI");
        }

        console.Write(facts);
        if (report is not { Head: { } head, Middle: { } middle, Tail: { } tail })
        {
            return;
        }

        Table sides = new Table().Border(TableBorder.Rounded);
        foreach (string column in (string[])["part", "layers", "where", "weights", $"KV cache at {contextTokens} tokens"])
        {
            sides.AddColumn(column, c => c.RightAligned());
        }

        void Row(string part, SideReport side, string where) => sides.AddRow(part, side.Layers, where, ByteText.Of(side.WeightBytes), ByteText.Of(side.KvBytes));
        Row("head + embedding", head, "trusted");
        Row("middle", middle, "worker");
        Row("tail + LM head", tail, "trusted");
        Row("trusted side", new SideReport("", head.WeightBytes + tail.WeightBytes, head.KvBytes + tail.KvBytes), "");
        console.Write(sides);
        ShowMemory(console, report, contextTokens);
    }

    /// <summary>A device that holds its own copy of the weights.</summary>
    private static void ShowMemory(IAnsiConsole console, InspectReport report, int contextTokens)
    {
        Table table = new Table().Border(TableBorder.Rounded).Title($"on GPUs, with caches in f16 for {contextTokens} tokens");
        foreach (string column in (string[])["cut", "weights", "trusted side", "with the embedding", "KV per 1K", "worker", "KV per 1K"])
        {
            table.AddColumn(column, static c => c.RightAligned());
        }

        foreach (MemoryReport row in report.Memory)
        {
            table.AddRow(
                $"{row.Head} + {row.Tail}", row.Weights, ByteText.Of(row.TrustedBytes), ByteText.Of(row.TrustedBytesWithEmbedding), ByteText.Of(row.TrustedKvPer1K),
                ByteText.Of(row.WorkerBytes), ByteText.Of(row.WorkerKvPer1K));
        }

        console.Write(table);
    }
}
