using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// Keeps the compute thread awake for the moment in which a lone session's next step is due. Over a wide-area link a step comes after tens of
/// milliseconds in which the thread sleeps and its core rests; waking both costs about 0.1 ms of a GPU's 5. A session's steps come back after
/// much the same time, so a few milliseconds around it are enough: at most once a pass, and never for as long as a session merely stays
/// open. Not over short ways and not for several sessions: there steps had better gather while a thread wakes up (16 sessions on
/// loopback went from 1560 to 845 tokens a second). Used by the compute loop only.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="most">How long the thread stays awake; zero for never.</param>
internal sealed class Vigil(TimeProvider time, TimeSpan most)
{
    // Part of the time that passes before the step is due: it is hardly ever early, since what is known is the least it took.
    private const double Lead = 0.4;

    private static readonly TimeSpan s_shortest = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(2);

    private long _begins;

    /// <summary>A pass of rows of these sessions has been answered.</summary>
    public void PassDone(IEnumerable<WorkerSession> sessions)
    {
        _begins = 0;
        WorkerSession? lone = null;
        foreach (WorkerSession session in sessions)
        {
            if (lone is not null && session != lone)
            {
                return;
            }

            lone = session;
        }

        TimeSpan turnaround = time.GetElapsedTime(0, lone?.Turnaround ?? 0);
        if (most > TimeSpan.Zero && turnaround >= s_shortest && turnaround <= s_longest)
        {
            _begins = lone!.AnsweredAt + lone.Turnaround - (long)(most.TotalSeconds * Lead * time.TimestampFrequency);
        }
    }

    /// <summary>How long the thread may sleep before it stays awake; null when no step is due, zero or less when it is time.</summary>
    public TimeSpan? UntilBegins() => _begins == 0 ? null : time.GetElapsedTime(time.GetTimestamp(), _begins);

    /// <summary>Stays awake until <paramref name="wake"/> is set (true) or the step is late (false); then no step is due any more.</summary>
    public bool Keep(WaitHandle wake)
    {
        long ends = _begins + (long)(most.TotalSeconds * time.TimestampFrequency);
        _begins = 0;
        do
        {
            if (wake.WaitOne(0))
            {
                return true;
            }

            Thread.SpinWait(20);
        }
        while (time.GetTimestamp() < ends);
        return false;
    }
}
