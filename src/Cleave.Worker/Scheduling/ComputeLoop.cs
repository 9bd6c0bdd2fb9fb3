using System.Collections.Concurrent;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Chaining;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// The only user of the device and of the sessions' caches: one thread that runs passes (continuous batching). A pass:
/// <list type="number">
/// <item>slots released by earlier passes become free;</item>
/// <item>frames are taken in turn and applied to their sessions' caches (keep, then append) until the pass is full;</item>
/// <item>their rows go through the layers together: each row's result depends on its own path alone;</item>
/// <item>returned rows are encoded, and every frame answered in the order taken.</item>
/// </list>
/// </summary>
internal sealed class ComputeLoop : IDisposable
{
    private readonly WorkerModel _model;
    private readonly SessionTable _table;
    private readonly FairQueue _queue = new();
    private readonly Rendezvous _rendezvous;
    private readonly Vigil _vigil;
    private readonly WorkerMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly List<Entry> _entries = [];
    private readonly PassRows _rows;
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly ITimer _rateTimer;
    private readonly Thread _thread;
    private readonly int _maxRows;
    private readonly int _width;
    private (WorkerSession Session, PendingFrame Frame)? _carried;
    private int _answered;
    private volatile bool _stopping;

    public ComputeLoop(WorkerModel model, SessionTable table, ServingLimits limits, ServingShape shape, WorkerMetrics metrics, TimeProvider time, ILogger logger)
    {
        _model = model;
        _rendezvous = new Rendezvous(_queue, time);
        _vigil = new Vigil(time, model.Stack.Device is CpuDevice ? TimeSpan.Zero : limits.AwakeTime);
        _table = table;
        _metrics = metrics;
        _time = time;
        _logger = logger;
        _maxRows = Math.Max(limits.MaxRowsPerPass, shape.MaxRowsPerStep);
        _width = model.Config.HiddenSize;
        _rows = new PassRows(model, _maxRows);
        _rateTimer = time.CreateTimer(_ => _wake.Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _thread = new Thread(Run) { IsBackground = true, Name = "compute" };
    }

    /// <summary>Rows waiting.</summary>
    public int QueuedRows => _queue.QueuedRows;

    public void Start() => _thread.Start();

    public void Enqueue(WorkerSession session, PendingFrame frame)
    {
        _queue.Enqueue(session, frame);
        _wake.Set();
    }

    /// <summary>Frees what a session closed elsewhere still holds, between two passes.</summary>
    public void Release(WorkerSession session)
    {
        _posted.Enqueue(() => ReleaseNow(session));
        _wake.Set();
    }

    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        // _wake is left to the finaliser: a stream on its way out may still set it.
        _rateTimer.Dispose();
        _rows.Dispose();
    }

    private void Run()
    {
        while (!_stopping)
        {
            RunPosted();
            if (_carried is null && _rendezvous.Wait() is { Ticks: > 0 } soon)
            {
                // A wake-up is exact to a millisecond.
                _wake.WaitOne((int)Math.Ceiling(soon.TotalMilliseconds));
            }
            else if (!TryRunPass())
            {
                Sleep();
            }
        }

        // What the last sessions held is freed before the caches go.
        RunPosted();
    }

    // Until something comes; awake when it is due.
    private void Sleep()
    {
        if (_queue.UntilOpen() is { } wait)
        {
            _rateTimer.Change(wait, Timeout.InfiniteTimeSpan);
        }
        else if (_vigil.UntilBegins() is { } rest
            && ((rest > TimeSpan.Zero && _wake.WaitOne((int)Math.Min(rest.TotalMilliseconds, 60_000))) || _vigil.Keep(_wake)))
        {
            return;
        }

        _wake.WaitOne();
    }

    private void RunPosted()
    {
        while (_posted.TryDequeue(out Action? action))
        {
            action();
        }
    }

    private bool TryRunPass()
    {
        // 1. Slots of earlier passes.
        _model.Pool.Reclaim();
        _rows.Clear();
        _entries.Clear();
        _answered = 0;

        // 2. Frames in turn.
        long startedAt = _time.GetTimestamp();
        while (TryTake(_maxRows - _rows.Count, out WorkerSession? session, out PendingFrame? frame) && TryApply(session!, frame!))
        {
        }

        if (_entries.Count == 0)
        {
            return false;
        }

        // 3. All rows through the layers together, then 4. answers.
        try
        {
            _rows.Run();
            Answer(startedAt);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A fault of this worker: whoever shared the pass has a cache that is not to be trusted any more.
            WorkerLog.PassFailed(_logger, e, _entries.Count, _rows.Count);
            for (int i = 0; i < _entries.Count; i++)
            {
                Entry entry = _entries[i];
                if (i >= _answered)
                {
                    entry.Session.Discard(entry.Frame);
                    Orphaned(entry.Copy);
                }

                _table.Close(entry.Session, new WireError(WireErrorCode.Internal, "The worker failed while computing; the session is gone.", SessionSurvives: false, Seq: entry.Frame.Seq));
            }
        }

        if (_rows.Count > 0)
        {
            _rendezvous.PassDone(startedAt, _entries.Select(static entry => entry.Session));
            _vigil.PassDone(_entries.Select(static entry => entry.Session));
        }

        _metrics.PassDone(_rows.Count, _entries.Count);
        return true;
    }

    private bool TryTake(int maxRows, out WorkerSession? session, out PendingFrame? frame)
    {
        if (_carried is { } carried)
        {
            (session, frame) = carried;
            _carried = null;
            return true;
        }

        if (!_queue.TryDequeue(maxRows, out session, out frame))
        {
            return false;
        }

        session!.Dequeued(frame!);
        return true;
    }

    /// <summary>False when the pass must run before this frame can be applied.</summary>
    private bool TryApply(WorkerSession session, PendingFrame frame)
    {
        if (session.IsClosed || frame.Seq != session.Taken + 1)
        {
            // Queued behind a frame that was refused.
            session.Discard(frame);
            return true;
        }

        WireError? refusal;
        WorkerFrame? reply = null;
        WorkerSession? copy = null;
        int firstReturned = _rows.Returned;
        bool[] dropped = [];
        switch (frame)
        {
            case PendingTruncate truncate:
                CacheOutcome cut = session.Cache.Truncate(truncate.Length);
                refusal = cut.Succeeded ? null : new WireError(WireErrorCode.UnknownRow, $"Frame {frame.Seq} truncates to {truncate.Length}; {session.Cache.CommittedLength} positions are committed.");
                reply = new RowsFrame(frame.Seq, 0, default, default, 0, 0, default);
                break;
            case PendingFork:
                refusal = _table.TryFork(session, out copy);
                reply = copy?.Opened(frame.Seq);
                break;
            default:
                if (!TryApplyStep(session, (PendingStep)frame, out dropped, out refusal))
                {
                    _carried = (session, frame);
                    return false;
                }

                break;
        }

        Charge(session);
        Rendezvous.Took(session, frame);
        session.Taken = refusal is null ? frame.Seq : frame.Seq - 1;
        _entries.Add(new Entry(session, frame, refusal, reply, copy, dropped, firstReturned, _rows.Returned - firstReturned));
        return true;
    }

    /// <summary>Keep, append, plan. False when the pass must run first; nothing but the keep is then applied.</summary>
    private bool TryApplyStep(WorkerSession session, PendingStep step, out bool[] dropped, out WireError? refusal)
    {
        KvCache cache = session.Cache;
        dropped = new bool[step.Rows.Length];

        // Keep first. A step refused after its keep was applied may come again: its keep is then done already.
        if (step.Keep.Length > 0 && session.KeptForSeq != step.Seq)
        {
            CacheOutcome kept = cache.Keep(step.Keep);
            if (!kept.Succeeded)
            {
                refusal = Refusal(session, step, kept);
                return true;
            }

            session.KeptForSeq = step.Seq;
            Charge(session);
        }

        int quota = session.Account.Quota.KvTokens;
        if (session.Account.KvTokens + step.Rows.Length > quota)
        {
            refusal = new WireError(WireErrorCode.QuotaExceeded, $"Step {step.Seq} adds {step.Rows.Length} rows to the tenant's {session.Account.KvTokens}; its cap is {quota} KV tokens. Close or truncate a session.");
            return true;
        }

        CacheOutcome outcome = cache.Append(step.Rows, dropped);
        if (outcome.Fault == CacheFault.PoolExhausted)
        {
            if (_rows.Count > 0)
            {
                // Slots released in this pass are free only after it.
                refusal = null;
                return false;
            }

            // The plan is empty, so slots this frame's own keep released can be used at once; then those of the idle.
            do
            {
                _model.Pool.Reclaim();
                outcome = cache.Append(step.Rows, dropped);
            }
            while (outcome.Fault == CacheFault.PoolExhausted && _table.TryEvictIdle(session, ReleaseNow));
        }

        if (!outcome.Succeeded)
        {
            refusal = Refusal(session, step, outcome);
            return true;
        }

        // The next worker of a chain gets all rows, whichever come back from it.
        _rows.Add(step, dropped, cache, returnAll: session.Next is not null);

        // Padding is computed like any row, so that its time tells nothing, and leaves nothing behind.
        cache.ForgetLast(dropped.AsSpan(step.Rows.Length - step.Dummies).Count(false));

        refusal = null;
        return true;
    }

    private void Answer(long startedAt)
    {
        uint computeMicros = Micros(startedAt, _time.GetTimestamp());
        foreach (Entry entry in _entries)
        {
            _answered++;
            if (entry.Refusal is { } refusal)
            {
                _metrics.Refused(refusal.Code);
                WorkerLog.FrameRefused(_logger, entry.Frame.Seq, entry.Session.Number, entry.Session.Account.Name, refusal.Code, refusal.RetryAfterMs);
                entry.Session.Refuse(entry.Frame, refusal);
                continue;
            }

            if (entry.Frame is not PendingStep step)
            {
                if (entry is { Session.Next: { } relay, Frame: PendingTruncate truncate })
                {
                    relay.Forward(new RelayedFrame(truncate, new TruncateFrame(truncate.Seq, 0, truncate.Length), 0, [], 0, 0, _time.GetTimestamp()));
                }
                else if (!entry.Session.Complete(entry.Frame, entry.Reply!))
                {
                    Orphaned(entry.Copy);
                }

                continue;
            }

            WireType type = entry.Session.WireType;
            var payload = new byte[entry.ReturnedCount * ActivationCodec.RowBytes(type, _width)];
            ReadOnlySpan<float> rows = _rows.Output(entry.FirstReturned, entry.ReturnedCount);
            if (!ActivationCodec.TryEncode(type, rows, _width, payload, out int badRow))
            {
                entry.Session.Discard(entry.Frame);
                _table.Close(entry.Session, new WireError(WireErrorCode.NotFinite, $"Returned row {badRow} of step {step.Seq} came out not finite; the session is gone.", SessionSurvives: false, Seq: step.Seq));
                continue;
            }

            uint queueMicros = Micros(step.ReceivedAt, startedAt);
            if (entry.Session.Next is { } next)
            {
                next.Forward(StepAnswers.Onward(step, entry.Dropped, payload, queueMicros, computeMicros, _time.GetTimestamp()));
                continue;
            }

            entry.Session.Complete(step, StepAnswers.Rows(step, entry.Dropped, payload, queueMicros, computeMicros));
        }
    }

    private WireError Refusal(WorkerSession session, PendingStep step, CacheOutcome outcome) => CacheRefusal.For(
        session.Cache, step, outcome, _model.Pool.Capacity, _model.Config.ContextLength, outcome.Fault == CacheFault.PoolExhausted ? _table.RetryAfterMs() : 0);

    /// <summary>A fork whose original was closed before it could say so: nobody knows its name.</summary>
    private void Orphaned(WorkerSession? copy)
    {
        if (copy is not null)
        {
            _table.CloseAsAsked(copy);
        }
    }

    private void Charge(WorkerSession session)
    {
        int held = session.Cache.HeldTokens;
        session.Account.ChangeKvTokens(held - session.ChargedTokens);
        session.ChargedTokens = held;
    }

    private void ReleaseNow(WorkerSession session)
    {
        foreach (PendingFrame frame in _queue.Clear(session))
        {
            session.Dequeued(frame);
            session.Discard(frame);
        }

        session.Cache.Dispose();
        Charge(session);
    }

    private uint Micros(long from, long to) => (uint)Math.Clamp(_time.GetElapsedTime(from, to).TotalMicroseconds, 0, uint.MaxValue);

    /// <summary>A frame of the pass.</summary>
    private readonly record struct Entry(
        WorkerSession Session, PendingFrame Frame, WireError? Refusal, WorkerFrame? Reply, WorkerSession? Copy, bool[] Dropped, int FirstReturned, int ReturnedCount);
}
