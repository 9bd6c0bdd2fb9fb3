using System.Diagnostics;

namespace Cleave.Endurance.Fuzz;

/// <summary>
/// Coverage-guided fuzzing of one target:
/// <list type="number">
/// <item>seeds and the corpus are run: what they reach is known;</item>
/// <item>inputs are damaged copies of known ones; one that reaches something new joins them;</item>
/// <item>in the end the corpus is thinned to inputs that together reach everything, the shortest first.</item>
/// </list>
/// </summary>
internal sealed class FuzzRun(IFuzzTarget target, CoverageMap coverage, int seed)
{
    private const int MaxInputBytes = 16 * 1024;

    // Threads of a target interleave differently each time, which looks like something new: bounded, so that memory is.
    private const int MaxKnown = 4000;

    // The corpus is part of the source tree.
    private const int MaxCorpusBytes = 48 * 1024;
    private static readonly TimeSpan s_hang = TimeSpan.FromSeconds(5);

    private readonly Random _random = new(seed);
    private readonly Mutator _mutator = new(new Random(seed + 1), MaxInputBytes);
    private readonly List<byte[]> _known = [];

    /// <summary>Runs until <paramref name="inputs"/> were tried or <paramref name="limit"/> has passed. Findings are written to <paramref name="findings"/>.</summary>
    public FuzzReport Run(IEnumerable<byte[]> corpus, long inputs, TimeSpan limit, string findings, Action<string> say, CancellationToken cancellationToken)
    {
        // 1. What is known.
        long started = Stopwatch.GetTimestamp();
        long tried = 0;
        int found = 0;
        foreach (byte[] input in target.Seeds().Concat(corpus))
        {
            found += Try(input, findings, say) ? 0 : 1;
            tried++;
            _known.Add(input);
        }

        coverage.TakeNew();
        int edgesBefore = coverage.Edges;
        long heapBefore = GC.GetTotalMemory(forceFullCollection: true);

        // 2. What they lead to. Later finds are tried more often: they are where the frontier is.
        long told = started;
        while (tried < inputs && Stopwatch.GetElapsedTime(started) < limit && !cancellationToken.IsCancellationRequested)
        {
            byte[] parent = _known[_random.Next(3) == 0 ? Math.Max(0, _known.Count - 1 - _random.Next(16)) : _random.Next(_known.Count)];
            ReadOnlySpan<byte> input = _mutator.Mutate(parent, _known[_random.Next(_known.Count)]);
            found += Try(input, findings, say) ? 0 : 1;
            tried++;
            if (coverage.TakeNew())
            {
                if (_known.Count == MaxKnown)
                {
                    _known.RemoveAt(_random.Next(MaxKnown));
                }

                _known.Add(input.ToArray());
            }

            if ((tried & 1023) == 0 && Stopwatch.GetElapsedTime(told) > TimeSpan.FromSeconds(30))
            {
                told = Stopwatch.GetTimestamp();
                say($"{target.Name}: {tried:N0} inputs, {coverage.Edges} branches, {_known.Count} kept, {found} findings");
            }
        }

        long heapAfter = GC.GetTotalMemory(forceFullCollection: true);
        return new FuzzReport(target.Name, tried, Stopwatch.GetElapsedTime(started), edgesBefore, coverage.Edges, _known.Count, found, heapAfter - heapBefore);
    }

    /// <summary>3. The shortest inputs that together reach all that is reached.</summary>
    public List<byte[]> Thinned()
    {
        coverage.Forget();
        var kept = new List<byte[]>();
        int bytes = 0;
        foreach (byte[] input in _known.OrderBy(static input => input.Length))
        {
            if ((bytes += input.Length) > MaxCorpusBytes)
            {
                break;
            }

            Try(input, findings: null, static _ => { });
            if (coverage.TakeNew())
            {
                kept.Add(input);
            }
        }

        return kept;
    }

    /// <summary>False when it took too long, whatever came of it; what is wrong sooner is thrown.</summary>
    private bool TryQuickly(ReadOnlySpan<byte> input)
    {
        long started = Stopwatch.GetTimestamp();
        try
        {
            return RunTimed(input) < s_hang;
        }
        catch (Exception) when (Stopwatch.GetElapsedTime(started) >= s_hang)
        {
            return false;
        }
    }

    private TimeSpan RunTimed(ReadOnlySpan<byte> input)
    {
        long started = Stopwatch.GetTimestamp();
        target.Run(input);
        return Stopwatch.GetElapsedTime(started);
    }

    private bool Try(ReadOnlySpan<byte> input, string? findings, Action<string> say)
    {
        coverage.Clear();
        string problem;
        try
        {
            // A hang is one that comes again: the machine itself may have been stopped for seconds.
            if (TryQuickly(input) || RunTimed(input) < s_hang)
            {
                return true;
            }

            problem = $"takes more than {s_hang.TotalSeconds:F0} s";
        }
        catch (Exception exception)
        {
            problem = exception.ToString();
        }

        if (findings is not null)
        {
            Directory.CreateDirectory(findings);
            string path = Path.Combine(findings, $"{target.Name}-{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(input))[..16]}.bin");
            File.WriteAllBytes(path, input);
            say($"{target.Name}: FOUND {path}: {problem}");
        }

        return false;
    }
}
