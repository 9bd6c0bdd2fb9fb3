using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Planning;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Models;
using Cleave.Protocol.Codec;
using Spectre.Console;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave plan</c>: what to expect of this link, and of others.</summary>
internal sealed class PlanCommand : TaughtCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object" };
    private readonly Option<double> _workerBandwidth = new("--worker-gbps") { HelpName = "GB/s", Description = "Memory bandwidth of a rented worker, for the predictions of other models", DefaultValueFactory = static _ => 2000 };
    private readonly Option<double> _localBandwidth = new("--local-gbps") { HelpName = "GB/s", Description = "Memory bandwidth of the trusted side, for the same", DefaultValueFactory = static _ => 400 };
    private readonly SplitArguments _split;

    public PlanCommand()
        : base("plan", "Measure a link for a few seconds and predict speeds on it")
    {
        foreach (Option option in (Option[])[_json, _workerBandwidth, _localBandwidth])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave plan --worker-file worker.link", "your own link: round trip, jitter, bandwidth, compute, and what they allow"),
        ("cleave plan --wan 80ms,20mbit,100mbit", "an emulated link"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        SplitSettings settings = _split.Read(parsed);
        if (settings.Cut is not { } cut)
        {
            throw new CliException("plan measures a split; leave --local away");
        }

        using var status = new StatusLine();
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken);
        await using TextGenerator generator = await host.OpenAsync("sequential", cancellationToken);
        status.Say("measuring pings and steps of 1 to 64 rows");
        LinkMeasurement measured = await LinkProbe.MeasureAsync(generator, settings.Wan is null ? host.PairingLink : null, cancellationToken);
        ModelShape shape = ModelShape.Of(host.Model.Config, host.Model.Source.Layer(0, LayerTensor.Query)!.Type);
        int bytesPerNumber = ActivationCodec.RowBytes(settings.Wire, host.Model.Config.HiddenSize) / host.Model.Config.HiddenSize;
        PlanReport report = Planner.Plan(
            measured, shape, cut, Math.Max(1, bytesPerNumber), DecoderCatalog.Names, parsed.GetValue(_workerBandwidth), parsed.GetValue(_localBandwidth));
        status.Clear();
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ReportJson.Output.PlanReport));
        }
        else
        {
            Write(Screen.Create(), report);
        }

        return ExitCode.Success;
    }

    private static void Write(IAnsiConsole console, PlanReport report)
    {
        console.WriteLine(Text($"round trip {report.RttMs:F1} ms, jitter {report.JitterMs:F1} ms; a step takes {report.FixedMs:F1} ms more, and {report.RowMs:F2} ms for each row ({report.ComputeRowMs:F2} of it compute)"));
        console.WriteLine(report.BandwidthMbit is { } bandwidth ? Text($"rows see {bandwidth:F0} Mbit/s, both ways together") : "the link is faster than rows of this width can show");
        console.WriteLine(Text($"the step model's cross-validation error is {report.CrossValidationPercent:F1} %"));
        if (report.LooksRelayed)
        {
            console.MarkupLine(Text($"[yellow]the route looks relayed: a TCP connect takes {report.ConnectMs:F1} ms, a round trip through it {report.RttMs:F1} ms. A proxy or tunnel in between adds that to every token; a direct port would not[/]"));
        }

        console.Write(TableOf("This model here", report.Here));
        console.Write(TableOf("Other models, cut 2+2", [.. report.Elsewhere.Where(static p => p is { Cut: "2+2", RttMs: 20 or 80 or 200 })]));
        console.WriteLine("memory on this side by cut: " + string.Join("; ", report.Elsewhere.GroupBy(static p => p.Model).Select(model =>
            $"{model.Key} {string.Join(", ", model.GroupBy(static p => p.Cut).Select(cut => Text($"{cut.Key} {cut.First().LocalGigabytes:F1} GB")))}")));
        foreach (string assumption in report.Assumptions)
        {
            console.WriteLine("assumed: " + assumption);
        }

        Recommendation use = report.Recommendation;
        console.WriteLine(Text($"use --head {use.Head} --tail {use.Tail} --decoder {use.Decoder}: {use.LocalGigabytes:F2} GB on this side; {use.Why}"));
    }

    private static Table TableOf(string title, IReadOnlyList<Prediction> predictions)
    {
        string[] decoders = [.. predictions.Select(static p => p.Decoder).Distinct()];
        Table table = new Table().Border(TableBorder.Rounded).Title(title + ", tokens per second").AddColumn("model").AddColumn("RTT", static c => c.RightAligned());
        foreach (string decoder in decoders)
        {
            table.AddColumn(decoder, static c => c.RightAligned());
        }

        table.AddColumn("local GB", static c => c.RightAligned());
        foreach (var row in predictions.GroupBy(static p => (p.Model, p.RttMs)))
        {
            table.AddRow([
                Markup.Escape(row.Key.Model), Text($"{row.Key.RttMs:F0} ms"), .. row.Select(static p => Text($"{p.TokensPerSecond:F1}")), Text($"{row.First().LocalGigabytes:F2}"),
            ]);
        }

        return table;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
