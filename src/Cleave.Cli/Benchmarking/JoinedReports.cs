using System.Text.Json;
using Cleave.Cli.Reports;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Reports of one study measured in parts, links side by side or on other days, put together: fits across round-trip times need
/// all of them, and a link of 200 ms keeps nobody else busy.
/// </summary>
internal static class JoinedReports
{
    /// <summary>Reads reports that <c>--json</c> or <c>--out</c> wrote and joins their runs, fits and all.</summary>
    /// <param name="files">At least one; the first gives the environment.</param>
    /// <exception cref="CliException">A file that is no report, one given twice, or one of another model, cut, wire type or kernel.</exception>
    public static BenchReport Read(IReadOnlyList<FileInfo> files)
    {
        if (files.GroupBy(static file => file.FullName).FirstOrDefault(static same => same.Skip(1).Any()) is { } twice)
        {
            throw new CliException($"{twice.Key} is given twice");
        }

        (FileInfo File, BenchReport Report)[] parts = [.. files.Select(static file => (file, Read(file)))];
        (FileInfo firstFile, BenchReport first) = parts[0];
        foreach ((FileInfo file, BenchReport report) in parts.Skip(1))
        {
            foreach ((string what, string here, string there) in Settings(first.Environment).Zip(Settings(report.Environment), static (a, b) => (a.What, a.Value, b.Value)))
            {
                if (here != there)
                {
                    throw new CliException($"{file.FullName} was measured with {what} {there}, {firstFile.FullName} with {here}; only runs of one setting can be joined");
                }
            }
        }

        BenchRun[] runs = [.. parts.SelectMany(static part => part.Report.Runs)];
        return first with
        {
            Suite = string.Join("+", parts.Select(static part => part.Report.Suite).Distinct()),
            Runs = runs,
            RttModel = RttFit.Of(runs),
            Ladder = [.. parts.SelectMany(static part => part.Report.Ladder)],
            LocalOnlyTokensPerSecond = parts.Max(static part => part.Report.LocalOnlyTokensPerSecond),
            Identity = [.. parts.SelectMany(static part => part.Report.Identity)],
            Sessions = [.. parts.SelectMany(static part => part.Report.Sessions)],
        };
    }

    private static IEnumerable<(string What, string Value)> Settings(BenchEnvironment environment) =>
    [
        ("the model", environment.Model), ("the cut", environment.Cut), ("the wire type", environment.Wire), ("the kernel", environment.KernelFingerprint),
    ];

    private static BenchReport Read(FileInfo file)
    {
        try
        {
            using FileStream stream = file.OpenRead();
            return JsonSerializer.Deserialize(stream, ReportJson.Output.BenchReport) ?? throw new JsonException("null");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CliException($"{file.FullName} is no report of `cleave bench --json`: {e.Message}");
        }
    }
}
