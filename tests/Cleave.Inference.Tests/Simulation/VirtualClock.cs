namespace Cleave.Inference.Tests.Simulation;

/// <summary>
/// A clock that only moves when somebody computes or waits. Compute of this side and of a worker that shares its processors
/// slow each other down: while both run, each runs at half speed.
/// </summary>
internal sealed class VirtualClock : TimeProvider
{
    private readonly List<WorkerJob> _jobs = [];

    /// <summary>Milliseconds since the start.</summary>
    public double NowMs { get; private set; }

    public override long TimestampFrequency => 1_000_000_000;

    public override long GetTimestamp() => (long)(NowMs * 1e6);

    /// <summary>Waits until a moment.</summary>
    public void WaitUntil(double ms) => NowMs = Math.Max(NowMs, ms);

    /// <summary>This side computes for so long, if it had the processors to itself.</summary>
    public void Compute(double ms)
    {
        _jobs.RemoveAll(job => job.EndMs <= NowMs);
        while (ms > 1e-9)
        {
            WorkerJob? job = _jobs.FirstOrDefault(j => j.EndMs > NowMs);
            if (job is null || job.StartMs > NowMs)
            {
                double alone = Math.Min(ms, (job?.StartMs ?? double.PositiveInfinity) - NowMs);
                NowMs += alone;
                ms -= alone;
                continue;
            }

            double shared = Math.Min(ms, job.EndMs - NowMs);
            NowMs += 2 * shared;
            ms -= shared;
            foreach (WorkerJob later in _jobs.Where(j => j.EndMs > NowMs - shared))
            {
                later.StartMs += later == job ? 0 : shared;
                later.EndMs += shared;
            }
        }
    }

    /// <summary>The worker computes from <paramref name="startMs"/> on, after what it already has to do.</summary>
    public WorkerJob Schedule(double startMs, double computeMs)
    {
        double start = Math.Max(startMs, _jobs.Count == 0 ? 0 : _jobs[^1].EndMs);
        var job = new WorkerJob { ArrivedMs = startMs, StartMs = start, EndMs = start + computeMs };
        _jobs.Add(job);
        return job;
    }

    /// <summary>A frame at the worker.</summary>
    internal sealed class WorkerJob
    {
        public double ArrivedMs { get; init; }

        public double StartMs { get; set; }

        public double EndMs { get; set; }
    }
}
