using Cleave.Worker.Sessions;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// Frames waiting for compute, FIFO within a session, fair between tenants and between a tenant's sessions: who was served
/// the fewest rows goes first (start-time fair queueing; Goyal, Vin and Cheng 1996). Whoever returns from idling starts at
/// the present, so idling saves nothing up. Tenants over their row rate wait.
/// </summary>
internal sealed class FairQueue
{
    private readonly Lock _lock = new();
    private readonly List<TenantAccount> _waiting = [];
    private long _now;

    /// <summary>Rows queued, over all sessions.</summary>
    public int QueuedRows { get; private set; }

    /// <summary>Sessions with frames queued.</summary>
    public int WaitingSessions
    {
        get
        {
            lock (_lock)
            {
                int count = 0;
                foreach (TenantAccount account in _waiting)
                {
                    count += account.Waiting.Count;
                }

                return count;
            }
        }
    }

    /// <summary>True when a session has frames queued.</summary>
    public bool HasQueued(WorkerSession session)
    {
        lock (_lock)
        {
            return session.Queued.Count > 0;
        }
    }

    public void Enqueue(WorkerSession session, PendingFrame frame)
    {
        lock (_lock)
        {
            TenantAccount account = session.Account;
            if (account.Waiting.Count == 0)
            {
                account.Service = Math.Max(account.Service, _now);
                _waiting.Add(account);
            }

            if (session.Queued.Count == 0)
            {
                long least = account.Waiting.Count == 0 ? session.Service : account.Waiting.Min(s => s.Service);
                session.Service = Math.Max(session.Service, least);
                account.Waiting.Add(session);
            }

            session.Queued.Enqueue(frame);
            QueuedRows += frame.RowCount;
        }
    }

    /// <summary>Takes the frame whose turn it is among those of at most <paramref name="maxRows"/> rows.</summary>
    public bool TryDequeue(int maxRows, out WorkerSession? session, out PendingFrame? frame)
    {
        lock (_lock)
        {
            session = null;
            TenantAccount? account = null;
            foreach (TenantAccount candidate in _waiting)
            {
                if ((account is null || candidate.Service < account.Service)
                    && candidate.Bucket.IsOpen(candidate.Quota.RowsPerSecond)
                    && NextSession(candidate, maxRows) is { } next)
                {
                    account = candidate;
                    session = next;
                }
            }

            if (account is null)
            {
                frame = null;
                return false;
            }

            frame = session!.Queued.Dequeue();
            QueuedRows -= frame.RowCount;
            _now = account.Service;
            account.Service += frame.Cost;
            account.Bucket.Take(frame.Cost);
            session.Service += frame.Cost;
            if (session.Queued.Count == 0)
            {
                Remove(session);
            }

            return true;
        }
    }

    /// <summary>Takes everything a session has queued.</summary>
    public IReadOnlyList<PendingFrame> Clear(WorkerSession session)
    {
        lock (_lock)
        {
            PendingFrame[] frames = [.. session.Queued];
            if (frames.Length > 0)
            {
                session.Queued.Clear();
                QueuedRows -= frames.Sum(f => f.RowCount);
                Remove(session);
            }

            return frames;
        }
    }

    /// <summary>When the first tenant that waits only for its row rate may go on; null when none does.</summary>
    public TimeSpan? UntilOpen()
    {
        lock (_lock)
        {
            TimeSpan? least = null;
            foreach (TenantAccount account in _waiting)
            {
                TimeSpan wait = account.Bucket.UntilOpen(account.Quota.RowsPerSecond);
                least = least is null || wait < least ? wait : least;
            }

            return least;
        }
    }

    private static WorkerSession? NextSession(TenantAccount account, int maxRows)
    {
        WorkerSession? best = null;
        foreach (WorkerSession session in account.Waiting)
        {
            if ((best is null || session.Service < best.Service) && session.Queued.Peek().RowCount <= maxRows)
            {
                best = session;
            }
        }

        return best;
    }

    private void Remove(WorkerSession session)
    {
        session.Account.Waiting.Remove(session);
        if (session.Account.Waiting.Count == 0)
        {
            _waiting.Remove(session.Account);
        }
    }
}
