namespace Cleave.PrivacyLab.Study;

/// <summary>Runs of a table that do not depend on each other. How many go at a time changes no number.</summary>
internal static class SideBySide
{
    /// <summary>The result of every run, in their order.</summary>
    public static async Task<TResult[]> RunAsync<TRun, TResult>(
        LabBench bench, StudySettings settings, IReadOnlyList<TRun> runs, Func<LabBench, TRun, Task<TResult>> run, CancellationToken cancellationToken)
    {
        var results = new TResult[runs.Count];
        if (settings.SideBySide <= 1)
        {
            for (int i = 0; i < runs.Count; i++)
            {
                results[i] = await run(bench, runs[i]);
            }

            return results;
        }

        var options = new ParallelOptions { MaxDegreeOfParallelism = settings.SideBySide, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(runs.Index(), options, async (item, _) =>
        {
            using LabBench own = bench.Another();
            results[item.Index] = await run(own, item.Item);
        });
        return results;
    }

    /// <summary>Every combination of a setting with a seed, a setting's seeds together.</summary>
    public static (T Setting, int Seed)[] WithSeeds<T>(IEnumerable<T> settings, IEnumerable<int> seeds) =>
        [.. settings.SelectMany(setting => seeds.Select(seed => (setting, seed)))];
}
