using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cleave.Compute;

namespace Cleave.Benchmarks.Report;

/// <summary>All figures of docs/PERFORMANCE.md's section on CPU kernels, as one table or as JSON.</summary>
internal static class ReportRun
{
    /// <summary>Measures and prints.</summary>
    /// <param name="device">The CPU.</param>
    /// <param name="llamaFolder">Where node-llama-cpp is installed; null leaves llama.cpp out.</param>
    /// <param name="json">JSON instead of the table.</param>
    public static void Run(CpuDevice device, string? llamaFolder, bool json)
    {
        string model = Path.Combine(Program.Root(), "models", "cleave-demo-24m.q8_0.gguf");
        var figures = new List<Figure>();
        foreach ((string what, IEnumerable<Figure> part) in (ReadOnlySpan<(string, IEnumerable<Figure>)>)[
            ("the bundled model", LlamaFigures.Measure(device, model, llamaFolder)),
            ("products", ProductFigures.Measure(device)),
            ("the price of invariance", InvarianceFigures.Measure(device)),
            ("keys and values", KvFigures.Measure(device, model))])
        {
            Console.Error.WriteLine($"measuring {what}");
            foreach (Figure figure in part)
            {
                Console.Error.WriteLine(Line(figure));
                figures.Add(figure);
            }
        }

        var document = new ReportDocument(
            $"{device.Name} {device.Path}, {device.Threads} threads, {device.Fingerprint}", $".NET {Environment.Version}, {RuntimeInformation.RuntimeIdentifier}", figures);
        Console.WriteLine(json ? JsonSerializer.Serialize(document, ReportJson.Default.ReportDocument) : Table(document));
    }

    private static string Table(ReportDocument document) => string.Join(
        '\n',
        [$"{document.Device}; {document.Runtime}", "", "| | measured | against | ratio | wanted |", "|---|---|---|---|---|", .. document.Figures.Select(Line)]);

    /// <summary>A figure as a line of the table.</summary>
    public static string Line(Figure figure)
    {
        string against = figure.Against is { } other ? $"{Number(other)} {figure.Reference}" : "";
        string ratio = figure.Ratio is { } value ? value.ToString("f2", CultureInfo.InvariantCulture) : "";
        string wanted = figure.Least is { } least ? $"{least.ToString("f2", CultureInfo.InvariantCulture)} {(figure.Reached == true ? "reached" : "missed")}" : "";
        return $"| {figure.Name} | {Number(figure.Value)} {figure.Unit} | {against} | {ratio} | {wanted} |";
    }

    private static string Number(double value) => value.ToString(value >= 1000 ? "f0" : value >= 100 ? "f1" : "f2", CultureInfo.InvariantCulture);
}
