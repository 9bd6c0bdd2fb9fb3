using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Models.Hub;
using Spectre.Console;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave models</c>: what is on this machine, and what a cut of it would keep here.</summary>
internal sealed class ModelsCommand : TaughtCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Print a JSON array" };

    public ModelsCommand()
        : base("models", "List the models on this machine: bundled, and in the hub's cache")
    {
        Options.Add(_json);
        SetAction(Run);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave models", "names for --model, with sizes of the ends and of a layer"),
        ("cleave models --json", "the same for scripts, models that cannot be used included"),
    ];

    private int Run(ParseResult parsed)
    {
        HubSettings settings = HubSettings.FromEnvironment();
        ModelReport[] models =
        [
            .. ((string[])[BundledModels.DemoFile, BundledModels.DraftFile]).Select(BundledModels.Find).OfType<string>()
                .Select(static path => ModelReport.Of(Path.GetFileName(path), path, "bundled")),
            .. new HubCache(settings.CacheDirectory).Models().Select(static model => ModelReport.Of(model.Name.ToString(), model.Path, "cache")),
        ];
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(models, ReportJson.Output.ModelReportArray));
            return ExitCode.Success;
        }

        Table table = new Table().Border(TableBorder.None)
            .AddColumns("model", "family", "layers", "hidden", "weights")
            .AddColumns(new TableColumn("MB").RightAligned(), new TableColumn("MB a layer").RightAligned(), new TableColumn("MB of ends").RightAligned());
        foreach (ModelReport model in models.Where(static model => model.Problem is null))
        {
            table.AddRow(
            [
                .. ((string[])
                [
                    model.Name, model.Family!, $"{model.Layers}", $"{model.HiddenSize}", model.Weights!, Megabytes(model.Bytes), Megabytes(model.LayerBytes), Megabytes(model.EndBytes),
                ]).Select(static text => new Text(text)),
            ]);
        }

        Screen.Create().Write(table);
        foreach (ModelReport model in models.Where(static model => model.Problem is not null))
        {
            Console.Error.WriteLine($"{model.Name} cannot be used: {model.Problem}");
        }

        Console.Error.WriteLine($"cache: {settings.CacheDirectory}; cleave pull OWNER/NAME adds to it");
        return ExitCode.Success;
    }

    private static string Megabytes(long? bytes) => bytes is { } value ? FormattableString.Invariant($"{value / 1e6:F1}") : "";
}
