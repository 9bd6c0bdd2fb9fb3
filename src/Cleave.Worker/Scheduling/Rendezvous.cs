using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// Whether a pass waits for sessions that are about to send. Reading the weights is most of a pass and is the same for one row or for many:
/// a session that just misses a pass waits for the whole of it. So a pass waits for those of the last one that are known to answer soon,
/// as long as what they would lose outweighs what the sessions already waiting lose. Over a wide-area link answers are far off, and alone
/// a session never waits. Used by the compute loop only.
/// </summary>
internal sealed class Rendezvous(FairQueue queue, TimeProvider time)
{
    // Beyond its last turnaround by this part, a session is not expected any more.
    private const double Patience = 0.25;

    private readonly List<WorkerSession> _expected = [];
    private long _answeredAt;

    // What another pass costs, whatever is in it: the shortest so far.
    private long _shortest = long.MaxValue;

    /// <summary>A frame is taken: how long the session took to send it after our last answer.</summary>
    public static void Took(WorkerSession session, PendingFrame frame)
    {
        if (session.AnsweredAt > 0 && frame.ReceivedAt > session.AnsweredAt)
        {
            session.Turnaround = frame.ReceivedAt - session.AnsweredAt;
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
        int waiting = _expected.Count == 0 ? 0 : queue.WaitingSessions;
        if (waiting == 0)
        {
            return TimeSpan.Zero;
        }

        long since = time.GetTimestamp() - _answeredAt;
        long saved = 0;
        long longest = 0;
        foreach (WorkerSession session in _expected)
        {
            long latest = (long)(session.Turnaround * (1 + Patience)) - since;
            long due = Math.Max(0, session.Turnaround - since);
            if (latest > 0 && due < _shortest && !session.IsClosed && !queue.HasQueued(session))
            {
                saved += _shortest - due;
                longest = Math.Max(longest, latest);
            }
        }

        return saved > waiting * longest ? time.GetElapsedTime(0, longest) : TimeSpan.Zero;
    }
}
