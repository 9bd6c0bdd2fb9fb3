using System.Globalization;

namespace Cleave.EndToEnd.Tests;

/// <summary>What a worker's native parts hold does not grow with its threads.</summary>
public sealed class WorkerMemoryTests
{
    private const long HeapBytes = 64L << 20;

    [Fact]
    public async Task ThreadsShareTheArenasThatMallocHasWhenAWorkerBegins()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "arenas are counted in /proc");
        int limited = await ArenasAsync(null);
        int own = await ArenasAsync("64");
        Assert.InRange(limited, 1, 12);
        Assert.InRange(own, limited + 12, 64);
    }

    /// <summary>Arenas of a worker of 24 threads besides the main one.</summary>
    private static async Task<int> ArenasAsync(string? most)
    {
        // Two processors, so that the runtime itself starts few threads, wherever this runs.
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(
            ["--model", Cli.Model, "--layers", "2..10", "--threads", "24"],
            new Dictionary<string, string?> { ["DOTNET_PROCESSOR_COUNT"] = "2", ["MALLOC_ARENA_MAX"] = most });
        return CountArenas(await File.ReadAllLinesAsync($"/proc/{worker.ProcessId}/maps", TestContext.Current.CancellationToken));
    }

    /// <summary>A heap of an arena is 64 MiB on a border of as many: its part in use, then the rest without any access (glibc, malloc/arena.c).</summary>
    private static int CountArenas(string[] maps)
    {
        (long Start, long End, string Access, bool IsNamed)[] ranges = [.. maps.Select(static line =>
        {
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string[] ends = parts[0].Split('-');
            return (long.Parse(ends[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture), long.Parse(ends[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture), parts[1], parts.Length > 5);
        })
            .Where(static range => range.Item1 >= 0 && range.Item2 >= 0)];
        return ranges.Index().Count(pair => pair.Item is { Access: "rw-p", IsNamed: false } used
            && used.Start % HeapBytes == 0
            && (used.End == used.Start + HeapBytes
                || (pair.Index + 1 < ranges.Length && ranges[pair.Index + 1] is { Access: "---p" } rest && rest.Start == used.End && rest.End == used.Start + HeapBytes)));
    }
}
