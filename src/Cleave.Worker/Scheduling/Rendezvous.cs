using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// Whether a pass waits for sessions that are about to send. Reading the weights is most of a pass and is the same for one row or for many,
/// so sessions that come back within the time of a pass are better all in one: two groups that take turns each wait for two passes, one
/// group for a pass and its own way back. A pass therefore waits for those of the last one that are known to come back in about that time, and
/// no longer than they are known to take. Up to twice the time of a pass it costs nothing: two groups then come back no sooner than one. It has
/// to be above once, for groups once apart slow each other down where both sides share a GPU, and would never be waited for again (16
/// sessions then had half the speed in every other run). Over a wide-area link they take longer, and alone a session never waits.
/// Used by the compute loop only.
/// </summary>
internal sealed class Rendezvous(FairQueue queue, TimeProvider time)
{
    // Beyond its last turnaround by this part, a session is not expected any more.
    private const double Patience = 0.25;

    // Sessions that take longer than this many passes are not waited for.
    private const double MostPasses = 1.5;
    private const int Memory = 8;

    private readonly List<WorkerSession> _expected = [];
    private long _answeredAt;

    // What another pass costs, whatever is in it: the shortest so far.
    private long _shortest = long.MaxValue;

    /// <summary>A frame is taken: how long its session took to send it after our last answer.</summary>
    public static void Took(WorkerSession session, PendingFrame frame)
    {
        if (session.AnsweredAt > 0 && frame.ReceivedAt > session.AnsweredAt)
        {
            // The least it takes, which a busy machine hides: a longer time counts little by little.
            long took = frame.ReceivedAt - session.AnsweredAt;
            session.Turnaround = session.Turnaround == 0 || took < session.Turnaround ? took : session.Turnaround + ((took - session.Turnaround) / Memory);
        }
    }

    /// <summary>A pass of rows has been answered.</summary>
    public void PassDone(long startedAt, IEnumerable<WorkerSession> sessions)
    {
        _answeredAt = time.GetTimestamp();
        _shortest = Math.Min(_shortest, _answeredAt - startedAt);
        _expected.Clear();
        foreach (WorkerSession session in sessions)
        {
            session.AnsweredAt = _answeredAt;
            if (session.Turnaround > 0)
            {
                _expected.Add(session);
            }
        }
    }

    /// <summary>How long the next pass had better wait, unless something is queued before; zero to run it now.</summary>
    public TimeSpan Wait()
    {
        if (_expected.Count == 0 || queue.WaitingSessions == 0)
        {
            return TimeSpan.Zero;
        }

        long since = time.GetTimestamp() - _answeredAt;
        long longest = 0;
        foreach (WorkerSession session in _expected)
        {
            long latest = (long)(session.Turnaround * (1 + Patience)) - since;
            if (latest > longest && session.Turnaround < MostPasses * _shortest && !session.IsClosed && !queue.HasQueued(session))
            {
                longest = latest;
            }
        }

        return time.GetElapsedTime(0, longest);
    }
}
