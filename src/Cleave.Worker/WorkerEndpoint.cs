using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker.Chaining;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Sessions;
using Cleave.Worker.Tenants;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cleave.Worker;

/// <summary>
/// The worker behind any transport. A stream's way:
/// <list type="number">
/// <item>it counts against its tenant's streams;</item>
/// <item>its open frame, in time, makes or resumes a session (version, layers, quotas);</item>
/// <item>a writer sends what the session and the reader answer, in order;</item>
/// <item>the reader checks frames and queues them for the compute loop, until the client closes, breaks the protocol, or is lost.</item>
/// </list>
/// </summary>
public sealed class WorkerEndpoint : IFrameEndpoint, IAsyncDisposable
{
    private static readonly WireType[] s_wireTypes = [WireType.F32, WireType.F16, WireType.BF16, WireType.Q8];

    private readonly WorkerModel _model;
    private readonly ServingLimits _limits;
    private readonly ServingShape _shape;
    private readonly TenantTable _tenants;
    private readonly NextWorkers _next;
    private readonly TenantAccounts _accounts;
    private readonly SessionTable _table;
    private readonly SessionOpening _opening;
    private readonly ComputeLoop _loop;
    private readonly WorkerMetrics _metrics = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _sweep;
    private int _streams;
    private volatile bool _stopping;

    /// <param name="model">The layers; disposed by the caller, after the endpoint.</param>
    /// <param name="tenants">Quotas by tenant name.</param>
    /// <param name="limits">Caps.</param>
    /// <param name="timeProvider">Clock of every timeout and rate.</param>
    /// <param name="logger">Events without content.</param>
    /// <param name="next">Workers rows may be passed on to; none when null.</param>
    public WorkerEndpoint(
        WorkerModel model, TenantTable tenants, ServingLimits? limits = null, TimeProvider? timeProvider = null, ILogger? logger = null, NextWorkers? next = null)
    {
        _model = model;
        _next = next ?? NextWorkers.None;
        _tenants = tenants;
        _limits = limits ?? new ServingLimits();
        _time = timeProvider ?? TimeProvider.System;
        _logger = logger ?? NullLogger.Instance;
        _shape = ServingShape.For(_limits, model);
        _accounts = new TenantAccounts(tenants, _time);
        var context = new SessionContext(_limits, _shape, new ByteBudget(_limits.MaxBufferedBytes), _time);
        _table = new SessionTable(context, model, _metrics, _logger);
        _loop = new ComputeLoop(model, _table, _limits, _shape, _metrics, _time, _logger);
        _table.Released = _loop.Release;
        _opening = new SessionOpening(model, _table, _next, _limits, _shape, _time, _logger);
        _metrics.Observe(() => _table.Count, () => _loop.QueuedRows, () => _model.Pool.Used, () => _model.Stack.Device.AllocatedBytes);
        tenants.Revoked += Revoke;
        TimeSpan sweep = TimeSpan.FromTicks(Math.Max(Math.Min(_limits.IdleTimeout.Ticks / 8, _limits.PressureIdleTimeout.Ticks), TimeSpan.TicksPerMillisecond));
        _sweep = _time.CreateTimer(_ => _table.CloseIdle(), null, sweep, sweep);
        _loop.Start();
    }

    /// <summary>Largest frame a transport should take.</summary>
    public int MaxFrameBytes => _shape.MaxFrameBytes;

    /// <summary>Open sessions.</summary>
    public int Sessions => _table.Count;

    /// <summary>KV tokens in use.</summary>
    public int KvTokensUsed => _model.Pool.Used;

    internal TenantAccounts Accounts => _accounts;

    internal WorkerMetrics Metrics => _metrics;

    /// <inheritdoc />
    public WorkerDescription Describe(string tenant)
    {
        TenantQuota quota = _tenants.QuotaOf(tenant);
        return new WorkerDescription
        {
            MinVersion = ProtocolVersion.Lowest,
            MaxVersion = ProtocolVersion.Highest,
            ModelName = _model.Config.Name,
            Architecture = _model.Config.Architecture,
            LayerStart = _model.Stack.Range.Start,
            LayerEnd = _model.Stack.Range.End,
            HiddenSize = _shape.HiddenSize,
            LayerHashes = _model.LayerHashes,
            WireTypes = s_wireTypes,
            KernelFingerprint = _model.KernelFingerprint,
            Limits = new WorkerLimits
            {
                MaxRowsPerStep = _shape.MaxRowsPerStep,
                MaxFrameBytes = _shape.MaxFrameBytes,
                MaxFramesInFlight = _shape.MaxFramesInFlight,
                MaxKvTokensPerSession = _shape.MaxKvTokensPerSession,
                MaxKvTokensPerTenant = Math.Min(quota.KvTokens, _model.Pool.Capacity),
                MaxSessionsPerTenant = Math.Min(quota.Sessions, _limits.MaxSessions),
                MaxRowsPerSecond = quota.RowsPerSecond,
                IdleSeconds = (int)Math.Clamp(_limits.IdleTimeout.TotalSeconds, 1, int.MaxValue),
            },
            Load = new WorkerLoad
            {
                Sessions = _table.Count,
                QueuedRows = _loop.QueuedRows,
                KvTokensUsed = _model.Pool.Used,
                KvTokensTotal = _model.Pool.Capacity,
            },
            Forwards = _next.ArePossible,
            Notices = _model.Notice is { } notice ? [notice] : [],
        };
    }

    /// <inheritdoc />
    public Task ServeAsync(
        string tenant,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken) => ServeAsync(_accounts.Of(tenant), receive, send, cancellationToken);

    /// <inheritdoc />
    public bool Admits(HopTicket ticket) => _table.Find(ticket) is not null;

    /// <inheritdoc />
    public Task ServeHopAsync(
        HopTicket ticket,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken) => _table.Find(ticket) is { } session
            ? ServeAsync(session.Account, session, receive, send, cancellationToken)
            : send(new ErrorFrame(_table.Unknown), cancellationToken).AsTask();

    /// <summary>Serves a stream of the tenant that was let in with this account.</summary>
    internal Task ServeAsync(
        TenantAccount account,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken) => ServeAsync(account, null, receive, send, cancellationToken);

    /// <summary>The tenant whose session a hop ticket names; null when there is none.</summary>
    internal TenantAccount? AccountOf(HopTicket ticket) => _table.Find(ticket)?.Account;

    /// <param name="account">Whose stream it is.</param>
    /// <param name="hop">The one session that another worker may attach to; null for a client, who may open any of its own.</param>
    /// <param name="receive">Frames in.</param>
    /// <param name="send">Frames out.</param>
    /// <param name="cancellationToken">The transport is gone.</param>
    private async Task ServeAsync(
        TenantAccount account,
        WorkerSession? hop,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken)
    {
        // 1. The tenant's streams.
        if (_stopping)
        {
            await send(new ErrorFrame(new WireError(WireErrorCode.ShuttingDown, "The worker is stopping.", SessionSurvives: false)), cancellationToken).ConfigureAwait(false);
            return;
        }

        if (!account.TryEnterStream())
        {
            WireError full = new(WireErrorCode.QuotaExceeded, $"The tenant has {account.Quota.Streams} streams, its cap.", RetryAfterMs: 1000);
            Refused(account, full);
            await send(new ErrorFrame(full), cancellationToken).ConfigureAwait(false);
            return;
        }

        Interlocked.Increment(ref _streams);
        using var stream = new SessionStream(cancellationToken);
        using var writerStop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task writing = stream.WriteAsync(send, writerStop.Token);
        WorkerSession? session = null;
        try
        {
            session = await OpenAsync(account, hop, stream, receive).ConfigureAwait(false);
            if (session is not null)
            {
                await ReadAsync(session, stream, receive).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stream.Reading.IsCancellationRequested)
        {
            // Evicted, closed, or the transport is gone.
        }
        finally
        {
            session?.Detach(stream);
            if (session is { IsClosed: false })
            {
                WorkerLog.StreamLost(_logger, session.Number, account.Name);
            }

            stream.End();
            try
            {
                await writing.WaitAsync(_limits.GoodbyeTimeout, _time, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // The client does not read, or is gone: its goodbye is lost.
                await writerStop.CancelAsync().ConfigureAwait(false);
            }

            account.LeaveStream();
            Interlocked.Decrement(ref _streams);
        }
    }

    /// <summary>Ends every session, telling the clients, and stops computing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _tenants.Revoked -= Revoke;
        await _sweep.DisposeAsync().ConfigureAwait(false);
        _table.CloseAll();
        long since = _time.GetTimestamp();
        while (Volatile.Read(ref _streams) > 0 && _time.GetElapsedTime(since) < _limits.GoodbyeTimeout)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5)).ConfigureAwait(false);
        }

        _loop.Dispose();
        _metrics.Dispose();
    }

    private async ValueTask<WorkerSession?> OpenAsync(
        TenantAccount account, WorkerSession? hop, SessionStream stream, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive)
    {
        // 2. The open frame.
        ReadOnlyMemory<byte>? first;
        using (var late = new CancellationTokenSource(_limits.OpenTimeout, _time))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stream.Reading))
        {
            try
            {
                first = await receive(either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (late.IsCancellationRequested && !stream.Reading.IsCancellationRequested)
            {
                Refuse(account, stream, new WireError(WireErrorCode.Expired, $"No open frame came within {_limits.OpenTimeout.TotalSeconds:0.###} s.", SessionSurvives: false));
                return null;
            }
        }

        if (first is not { } bytes)
        {
            return null;
        }

        if (!FrameCodec.TryRead(bytes, out ClientFrame? frame, out WireError? problem))
        {
            Refuse(account, stream, problem!);
            return null;
        }

        if (frame is not OpenFrame open)
        {
            Refuse(account, stream, new WireError(WireErrorCode.Malformed, "The first frame of a stream must be an open frame.", SessionSurvives: false));
            return null;
        }

        WireError? refusal = _opening.TryOpen(account, hop, open, out WorkerSession? session);
        if (session is not null && open.Next is { } next)
        {
            refusal = await _opening.ConnectAsync(session, next, open.MaxKvTokens, stream.Reading).ConfigureAwait(false);
        }

        refusal ??= session?.Attach(stream, open.Resume?.LastReceivedSeq ?? 0);
        if (refusal is not null)
        {
            Refuse(account, stream, refusal);
            return null;
        }

        if (open.Resume is { LastReceivedSeq: not ResumeTicket.NothingMissed } resumed)
        {
            _metrics.SessionResumed();
            WorkerLog.SessionResumed(_logger, session!.Number, account.Name, resumed.LastReceivedSeq);
        }

        return session;
    }

    private async ValueTask ReadAsync(WorkerSession session, SessionStream stream, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive)
    {
        // 4. Frames.
        while (await receive(stream.Reading).ConfigureAwait(false) is { } bytes)
        {
            if (!FrameCodec.TryRead(bytes, out ClientFrame? frame, out WireError? problem))
            {
                Refused(session.Account, problem!);
                _table.Close(session, problem!);
                return;
            }

            switch (frame)
            {
                case StepFrame step:
                    await session.WaitForRoomAsync(step.Rows.Length, stream.Reading).ConfigureAwait(false);
                    await AcceptAsync(session, stream, step).ConfigureAwait(false);
                    break;
                case TruncateFrame or ForkFrame:
                    await AcceptAsync(session, stream, frame).ConfigureAwait(false);
                    break;
                case PingFrame ping:
                    session.Touch();
                    if (session.Next is { } relay)
                    {
                        await relay.PingAsync(ping.Nonce, stream.Reading).ConfigureAwait(false);
                    }

                    await stream.AnswerAsync(new PongFrame(ping.Nonce)).ConfigureAwait(false);
                    break;
                case CloseFrame:
                    _table.CloseAsAsked(session);
                    return;
                default:
                    WireError twice = new(WireErrorCode.Malformed, "A stream has one open frame, its first.", SessionSurvives: false);
                    Refused(session.Account, twice);
                    _table.Close(session, twice);
                    return;
            }
        }
    }

    private async ValueTask AcceptAsync(WorkerSession session, SessionStream stream, ClientFrame frame)
    {
        Acceptance acceptance = session.Accept(stream, frame);
        if (acceptance.Queue is { } pending)
        {
            _loop.Enqueue(session, pending);
        }
        else if (acceptance.Answer is { } answer)
        {
            if (answer is ErrorFrame error)
            {
                _metrics.Refused(error.Error.Code);
                WorkerLog.FrameRefused(_logger, error.Error.Seq, session.Number, session.Account.Name, error.Error.Code, error.Error.RetryAfterMs);
            }

            await stream.AnswerAsync(answer).ConfigureAwait(false);
        }
    }

    private void Revoke(string tenant)
    {
        if (_accounts.Revoke(tenant) is { } account)
        {
            _table.CloseRevoked(account);
        }
    }

    private void Refuse(TenantAccount account, SessionStream stream, WireError error)
    {
        Refused(account, error);
        stream.Post(new ErrorFrame(error));
    }

    private void Refused(TenantAccount account, WireError error)
    {
        _metrics.Refused(error.Code);
        WorkerLog.StreamRefused(_logger, account.Name, error.Code, error.Message);
    }
}
