using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Sessions;

/// <summary>The sessions of a worker: opened, forked, resumed, expired, evicted.</summary>
internal sealed class SessionTable(SessionContext context, WorkerModel model, WorkerMetrics metrics, ILogger logger)
{
    private static readonly WireError s_revoked = new(WireErrorCode.Unauthorized, "The tenant's token was revoked.", SessionSurvives: false);
    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, WorkerSession> _sessions = [];
    private readonly WorkerSession _nobody = new(context, new TenantAccount("", new TenantTable(), context.Time), 0, 0, WireType.F32, new KvCache(model.Pool, 0, 0));
    private long _opened;

    /// <summary>Told of every closed session, so that what it held is freed by whoever may touch its cache.</summary>
    public Action<WorkerSession> Released { get; set; } = _ => { };

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _sessions.Count;
            }
        }
    }

    /// <summary>A new session for <paramref name="account"/>, or why not.</summary>
    public WireError? TryOpen(TenantAccount account, ushort version, OpenFrame open, out WorkerSession? session)
    {
        if (open.MaxKvTokens < 1 || open.MaxKvTokens > context.Shape.MaxKvTokensPerSession)
        {
            session = null;
            return new WireError(WireErrorCode.QuotaExceeded, $"The session asks for {open.MaxKvTokens} KV tokens; this worker gives 1 to {context.Shape.MaxKvTokensPerSession}.", SessionSurvives: false);
        }

        var cache = new KvCache(model.Pool, open.MaxKvTokens, model.Config.ContextLength);
        session = new WorkerSession(context, account, Interlocked.Increment(ref _opened), version, open.WireType, cache, open.TakesHop);
        if (TryAdd(session, requester: null) is { } refusal)
        {
            session = null;
            return refusal;
        }

        WorkerLog.SessionOpened(logger, session.Number, account.Name, open.WireType, open.MaxKvTokens);
        return null;
    }

    /// <summary>A copy of <paramref name="original"/>'s committed prefix as a session of the same tenant. Compute loop only.</summary>
    public WireError? TryFork(WorkerSession original, out WorkerSession? copy)
    {
        copy = null;
        if (original.Next is not null || original.HopSecret is not null)
        {
            return new WireError(WireErrorCode.NotForwarded, "A session that is part of a chain cannot be forked: its rows lie on several workers.");
        }

        int quota = original.Account.Quota.KvTokens;
        int shared = original.Cache.CommittedLength;
        if (original.Account.KvTokens + shared > quota)
        {
            return new WireError(WireErrorCode.QuotaExceeded, $"A fork counts {shared} KV tokens beside the tenant's {original.Account.KvTokens}; its cap is {quota}.");
        }

        if (original.Cache.Fork() is not { } cache)
        {
            return new WireError(WireErrorCode.QuotaExceeded, "The prefix is shared by too many forks already.");
        }

        copy = new WorkerSession(context, original.Account, Interlocked.Increment(ref _opened), original.Version, original.WireType, cache) { ChargedTokens = shared };
        original.Account.ChangeKvTokens(shared);
        if (TryAdd(copy, requester: original) is { } refusal)
        {
            cache.Dispose();
            original.Account.ChangeKvTokens(-shared);
            copy = null;
            return refusal;
        }

        WorkerLog.SessionForked(logger, copy.Number, original.Number, shared);
        return null;
    }

    /// <summary>The session a ticket names. Unknown, another tenant's and a wrong secret give one answer, after the same work.</summary>
    public WireError? TryResume(TenantAccount account, ResumeTicket ticket, out WorkerSession? session)
    {
        WorkerSession? found;
        lock (_lock)
        {
            found = _sessions.GetValueOrDefault(new Guid(ticket.SessionId.Span));
        }

        bool allowed = (found ?? _nobody).HasSecret(ticket.Secret.Span) & found is not null & ReferenceEquals(found?.Account, account);
        session = allowed ? found : null;
        return allowed ? null : Unknown;
    }

    /// <summary>The session another worker was let in for: a ticket that names another is answered as an unknown one.</summary>
    public WireError? TryAttach(WorkerSession hop, ResumeTicket ticket, out WorkerSession? session)
    {
        bool allowed = hop.HasHopSecret(ticket.Secret.Span) & new Guid(ticket.SessionId.Span) == hop.Id;
        session = allowed ? hop : null;
        return allowed ? null : Unknown;
    }

    /// <summary>What is said of every session that cannot be resumed.</summary>
    public WireError Unknown { get; } = new(
        WireErrorCode.UnknownSession,
        $"There is no such session: it was closed, evicted, idle for more than {context.Limits.IdleTimeout.TotalSeconds:0} s, or never was on this worker since it started.",
        SessionSurvives: false);

    /// <summary>The session a hop ticket names, or null; an unknown one and a wrong secret take the same work.</summary>
    public WorkerSession? Find(HopTicket ticket)
    {
        WorkerSession? found;
        lock (_lock)
        {
            found = _sessions.GetValueOrDefault(ticket.SessionId);
        }

        return (found ?? _nobody).HasHopSecret(ticket.Secret.Span) ? found : null;
    }

    /// <summary>The client is done with a session.</summary>
    public void CloseAsAsked(WorkerSession session) =>
        Close(session, new WireError(WireErrorCode.UnknownSession, "The session was closed.", SessionSurvives: false), tellStream: false, "closed by the client");

    /// <summary>Ends a session. Its stream is told why unless <paramref name="tellStream"/> is false; logs and metrics may call it something else than the code.</summary>
    public bool Close(WorkerSession session, WireError reason, bool tellStream = true, string? called = null)
    {
        if (!Remove(session))
        {
            return false;
        }

        session.MarkClosed(reason, tellStream);
        called ??= reason.Code.ToString();
        WorkerLog.SessionClosed(logger, session.Number, session.Account.Name, called);
        metrics.SessionClosed(called);
        Released(session);
        return true;
    }

    /// <summary>Ends the sessions of a tenant whose token is void, after its account was marked so.</summary>
    public void CloseRevoked(TenantAccount account)
    {
        foreach (WorkerSession session in Snapshot().Where(s => s.Account == account))
        {
            Close(session, s_revoked);
        }
    }

    /// <summary>Ends every session, because the worker stops.</summary>
    public void CloseAll()
    {
        foreach (WorkerSession session in Snapshot())
        {
            Close(session, new WireError(WireErrorCode.ShuttingDown, "The worker is stopping.", SessionSurvives: false));
        }
    }

    /// <summary>Ends sessions idle for too long; one that holds nothing and has no stream, sooner.</summary>
    public void CloseIdle()
    {
        foreach (WorkerSession session in Snapshot())
        {
            TimeSpan most = session.IsUnused && context.Limits.PressureIdleTimeout < context.Limits.IdleTimeout ? context.Limits.PressureIdleTimeout : context.Limits.IdleTimeout;
            if (session.Idle >= most)
            {
                Close(session, new WireError(WireErrorCode.Expired, $"The session was idle for {most.TotalSeconds:0} s.", SessionSurvives: false));
            }
        }
    }

    /// <summary>
    /// Ends the session that was idle longest, one without a stream first, for <paramref name="requester"/> to have room; false
    /// when none was idle long enough. Compute loop only: <paramref name="release"/> runs at once.
    /// </summary>
    public bool TryEvictIdle(WorkerSession requester, Action<WorkerSession> release)
    {
        WorkerSession? victim = Victim(s => s != requester);
        if (victim is null || !Remove(victim))
        {
            return false;
        }

        CloseEvicted(victim);
        release(victim);
        return true;
    }

    /// <summary>When a refused client should try again: when the next session may be evicted, within bounds.</summary>
    public int RetryAfterMs()
    {
        double longestIdleMs = Snapshot().Select(s => s.Idle.TotalMilliseconds).DefaultIfEmpty(0).Max();
        return (int)Math.Clamp(context.Limits.PressureIdleTimeout.TotalMilliseconds - longestIdleMs, 100, 60_000);
    }

    private WireError? TryAdd(WorkerSession session, WorkerSession? requester)
    {
        List<WorkerSession> evicted = [];
        WireError? refusal = null;
        lock (_lock)
        {
            int quota = session.Account.Quota.Sessions;
            if (session.Account.IsRevoked)
            {
                // Let in before its token became void.
                refusal = s_revoked;
            }
            else if (session.Account.Sessions >= quota && !TryEvict(s => s.Account == session.Account && s != requester && !s.HasStream))
            {
                refusal = new WireError(WireErrorCode.QuotaExceeded, $"The tenant has {session.Account.Sessions} sessions, its cap. Close one.", SessionSurvives: requester is not null, RetryAfterMs: RetryAfterMs());
            }
            else if (_sessions.Count >= context.Limits.MaxSessions && !TryEvict(s => s != requester))
            {
                refusal = new WireError(WireErrorCode.Busy, $"The worker has {_sessions.Count} sessions, its cap.", SessionSurvives: requester is not null, RetryAfterMs: RetryAfterMs());
            }
            else
            {
                _sessions.Add(session.Id, session);
                session.Account.Sessions++;
            }
        }

        // Outside the lock: closing posts to streams and to the compute loop.
        foreach (WorkerSession victim in evicted)
        {
            CloseEvicted(victim);
            Released(victim);
        }

        return refusal;

        bool TryEvict(Func<WorkerSession, bool> may)
        {
            if (Victim(may) is not { } victim || !Remove(victim))
            {
                return false;
            }

            evicted.Add(victim);
            return true;
        }
    }

    private WorkerSession? Victim(Func<WorkerSession, bool> may) => Snapshot()
        .Where(s => may(s) && s.Idle >= context.Limits.PressureIdleTimeout)
        .OrderBy(s => s.HasStream)
        .ThenByDescending(s => s.Idle)
        .FirstOrDefault();

    private void CloseEvicted(WorkerSession victim)
    {
        victim.MarkClosed(new WireError(WireErrorCode.Expired, "The session was idle and its room was needed.", SessionSurvives: false), tellStream: true);
        WorkerLog.SessionClosed(logger, victim.Number, victim.Account.Name, nameof(WireErrorCode.Expired));
        metrics.SessionClosed(nameof(WireErrorCode.Expired));
    }

    private bool Remove(WorkerSession session)
    {
        lock (_lock)
        {
            if (!_sessions.Remove(session.Id))
            {
                return false;
            }

            session.Account.Sessions--;
            return true;
        }
    }

    private WorkerSession[] Snapshot()
    {
        lock (_lock)
        {
            return [.. _sessions.Values];
        }
    }
}
