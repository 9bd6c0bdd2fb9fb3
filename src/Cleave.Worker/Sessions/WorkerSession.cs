using System.Security.Cryptography;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Chaining;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Sessions;

/// <summary>
/// One client's conversation with this worker, which outlives its streams. A frame's way:
/// <list type="number">
/// <item><see cref="Accept"/> (stream): seq and ack, sizes, budgets, finite numbers; nothing is allocated before its size is known to be allowed;</item>
/// <item>the queue, until the compute loop takes it;</item>
/// <item>the compute loop applies it to <see cref="Cache"/> and answers with <see cref="Complete"/> or <see cref="Refuse"/>;</item>
/// <item>the reply is kept until acknowledged, and sent again to a stream that resumes.</item>
/// </list>
/// A refused frame was not applied and its seq is not used up; frames queued behind it are dropped. The client may send
/// again from that seq.
/// </summary>
internal sealed class WorkerSession
{
    private static readonly byte[] s_noHop = new byte[FrameCodec.SecretBytes];

    private readonly Lock _lock = new();
    private readonly ServingLimits _limits;
    private readonly TimeProvider _time;
    private readonly ByteBudget _workerBytes;
    private readonly ByteBudget _bytes;
    private readonly StepIntake _intake;
    private readonly QueueRoom _room;
    private readonly int _maxFramesInFlight;
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(FrameCodec.SecretBytes);
    private readonly ReplyBuffer _replies = new();
    private SessionStream? _stream;
    private WireError? _closed;
    private ulong _accepted;
    private ulong _applied;
    private ulong _acked;
    private long _activeAt;

    public WorkerSession(SessionContext context, TenantAccount account, long number, ushort version, WireType wireType, KvCache cache, bool takesHop = false)
    {
        _limits = context.Limits;
        _time = context.Time;
        _workerBytes = context.Bytes;
        _bytes = new ByteBudget(_limits.MaxBufferedBytesPerSession);
        _intake = new StepIntake(context.Shape, wireType, cache.MaxTokens);
        _room = new QueueRoom(2 * context.Shape.MaxRowsPerStep);
        _maxFramesInFlight = context.Shape.MaxFramesInFlight;
        _activeAt = _time.GetTimestamp();
        Account = account;
        Number = number;
        Version = version;
        WireType = wireType;
        Cache = cache;
        HopSecret = takesHop ? HopTicket.SecretOf(_secret, Id) : null;
    }

    /// <summary>128 random bits, issued here.</summary>
    public Guid Id { get; } = new(RandomNumberGenerator.GetBytes(FrameCodec.SecretBytes));

    /// <summary>Lets another worker bring the session's rows; null when none may.</summary>
    public byte[]? HopSecret { get; }

    /// <summary>Passes the session's rows on; null when they go back from here. Set before the session's first stream.</summary>
    public HopRelay? Next { get; set; }

    /// <summary>Names the session in logs, where its id has no place.</summary>
    public long Number { get; }

    public TenantAccount Account { get; }

    public ushort Version { get; }

    public WireType WireType { get; }

    /// <summary>Used by the compute loop only.</summary>
    public KvCache Cache { get; }

    /// <summary>Rows of <see cref="Cache"/> already charged to the tenant; owned by the compute loop.</summary>
    public int ChargedTokens { get; set; }

    /// <summary>Seq of the last frame the compute loop took; owned by it.</summary>
    public ulong Taken { get; set; }

    /// <summary>When its last step was answered; owned by the compute loop.</summary>
    public long AnsweredAt { get; set; }

    /// <summary>What passes between an answer and its next frame, at the least, lately; owned by the compute loop.</summary>
    public long Turnaround { get; set; }

    /// <summary>Seq of the step whose keep was applied though the step itself was refused; owned by the compute loop.</summary>
    public ulong KeptForSeq { get; set; }

    /// <summary>Queued frames; owned by <see cref="Scheduling.FairQueue"/>.</summary>
    public Queue<PendingFrame> Queued { get; } = new();

    /// <summary>Rows served, in the queue's sense of fairness; owned by the queue.</summary>
    public long Service { get; set; }

    public bool IsClosed
    {
        get
        {
            lock (_lock)
            {
                return _closed is not null;
            }
        }
    }

    public bool HasStream
    {
        get
        {
            lock (_lock)
            {
                return _stream is not null;
            }
        }
    }

    /// <summary>True when it holds nothing and nobody is there: whoever opened it may never have had the answer.</summary>
    public bool IsUnused => Volatile.Read(ref _accepted) == 0 && ChargedTokens == 0 && !HasStream;

    /// <summary>Time without a frame or a reply; zero while frames are queued.</summary>
    public TimeSpan Idle
    {
        get
        {
            lock (_lock)
            {
                return _accepted > _applied ? TimeSpan.Zero : _time.GetElapsedTime(_activeAt);
            }
        }
    }

    /// <summary>True for the secret issued with this session; takes the same time for any other.</summary>
    public bool HasSecret(ReadOnlySpan<byte> secret) => CryptographicOperations.FixedTimeEquals(secret, _secret);

    /// <summary>True for the secret of the session's hop ticket; takes the same time for any other.</summary>
    public bool HasHopSecret(ReadOnlySpan<byte> secret) => CryptographicOperations.FixedTimeEquals(secret, HopSecret ?? s_noHop) & HopSecret is not null;

    /// <summary>A sign of life.</summary>
    public void Touch()
    {
        lock (_lock)
        {
            _activeAt = _time.GetTimestamp();
        }
    }

    /// <summary>The answer to an open (or fork) frame.</summary>
    public OpenedFrame Opened(ulong answersSeq = 0)
    {
        lock (_lock)
        {
            return new OpenedFrame(Version, Id.ToByteArray(), _secret, _accepted, answersSeq);
        }
    }

    /// <summary>
    /// Makes <paramref name="stream"/> the session's stream, answers its open frame and sends replies after
    /// <paramref name="lastReceivedSeq"/> again. A stream that was there is evicted, in the same instant.
    /// </summary>
    public WireError? Attach(SessionStream stream, ulong lastReceivedSeq)
    {
        lock (_lock)
        {
            if (_closed is not null)
            {
                return _closed;
            }

            lastReceivedSeq = lastReceivedSeq == ResumeTicket.NothingMissed ? _applied : lastReceivedSeq;
            if (lastReceivedSeq < _acked || lastReceivedSeq > _applied)
            {
                return new WireError(WireErrorCode.OutOfOrder, $"The last received seq is given as {lastReceivedSeq}; replies {_acked + 1} to {_applied} are still here.");
            }

            _stream?.End(new WireError(WireErrorCode.TakenOver, "The session was resumed by another stream.", SessionSurvives: true));
            _stream = stream;
            _activeAt = _time.GetTimestamp();
            stream.Post(new OpenedFrame(Version, Id.ToByteArray(), _secret, _accepted));
            foreach (WorkerFrame frame in _replies.After(lastReceivedSeq))
            {
                stream.Post(frame);
            }

            return null;
        }
    }

    /// <summary>The stream is gone; the session stays for a resume.</summary>
    public void Detach(SessionStream stream)
    {
        lock (_lock)
        {
            if (_stream == stream)
            {
                _stream = null;
                _activeAt = _time.GetTimestamp();
            }
        }
    }

    /// <summary>Waits until the queue can take a step of this many rows: the client is slowed down, not refused.</summary>
    public ValueTask WaitForRoomAsync(int rows, CancellationToken cancellationToken) => _room.WaitAsync(rows, cancellationToken);

    /// <summary>A step, truncate or fork frame from <paramref name="stream"/>.</summary>
    public Acceptance Accept(SessionStream stream, ClientFrame frame)
    {
        (ulong seq, ulong ack) = frame switch
        {
            StepFrame step => (step.Seq, step.Ack),
            TruncateFrame truncate => (truncate.Seq, truncate.Ack),
            ForkFrame fork => (fork.Seq, fork.Ack),
            _ => throw new ArgumentException($"A {frame.GetType().Name} is not queued.", nameof(frame)),
        };
        long receivedAt = _time.GetTimestamp();

        // 1. Order: acknowledged replies are forgotten, applied frames answered again.
        lock (_lock)
        {
            if (_closed is not null || _stream != stream)
            {
                return default;
            }

            _activeAt = receivedAt;
            if (ack > _applied)
            {
                return Refused(seq, WireErrorCode.OutOfOrder, $"Frame {seq} acknowledges reply {ack}; the last one made is {_applied}.");
            }

            Forget(ack);
            if (seq <= _accepted)
            {
                return Repeated(seq);
            }

            if (seq != _accepted + 1)
            {
                return Refused(seq, WireErrorCode.OutOfOrder, $"Frame {seq} came when {_accepted + 1} was next.");
            }

            if (seq - _acked > (ulong)_maxFramesInFlight)
            {
                return Refused(seq, WireErrorCode.QuotaExceeded, $"Frame {seq} would be number {seq - _acked} without an acknowledgement; at most {_maxFramesInFlight}.");
            }
        }

        // 2. Sizes, before anything is allocated for them; 3. budgets; 4. numbers.
        PendingFrame pending;
        long bytes = 0;
        if (frame is StepFrame received)
        {
            if (_intake.Problem(received) is { } problem)
            {
                return new Acceptance(null, new ErrorFrame(problem));
            }

            bytes = _intake.BufferedBytes(received.Rows.Length);
            if (!_bytes.TryTake(bytes))
            {
                return Refused(seq, WireErrorCode.QuotaExceeded, $"Frame {seq} needs {bytes} bytes of buffers beside {_bytes.Used}; a session may use {_limits.MaxBufferedBytesPerSession}. Acknowledge replies first.");
            }

            if (!_workerBytes.TryTake(bytes))
            {
                _bytes.Return(bytes);
                return Refused(seq, WireErrorCode.Busy, $"Frame {seq} needs {bytes} bytes of buffers and the worker's are full.", retryAfterMs: 250);
            }

            if (!_intake.TryDecode(received, receivedAt, out PendingStep? step, out WireError? error))
            {
                ReturnBytes(bytes);
                return new Acceptance(null, new ErrorFrame(error!));
            }

            pending = step!;
        }
        else
        {
            pending = frame is TruncateFrame truncate ? new PendingTruncate(seq, receivedAt, truncate.Length) : new PendingFork(seq, receivedAt);
        }

        // 5. Commit, unless the session changed hands meanwhile.
        lock (_lock)
        {
            if (_closed is not null || _stream != stream || seq != _accepted + 1)
            {
                ReturnBytes(bytes);
                return default;
            }

            _accepted = seq;
            _room.Add(pending.RowCount);
            return new Acceptance(pending, null);
        }
    }

    /// <summary>The compute loop took a frame out of the queue.</summary>
    public void Dequeued(PendingFrame frame) => _room.Remove(frame.RowCount);

    /// <summary>A frame was applied; its reply is kept until acknowledged. False when the session is closed: nobody will have it.</summary>
    public bool Complete(PendingFrame frame, WorkerFrame reply)
    {
        lock (_lock)
        {
            ReturnBytes(_intake.QueueBytes(frame));
            if (_closed is not null)
            {
                ReturnBytes(_intake.ReplyBytes(frame));
                return false;
            }

            _applied = frame.Seq;
            _activeAt = _time.GetTimestamp();
            _replies.Add(frame.Seq, reply, _intake.ReplyBytes(frame));
            _stream?.Post(reply);
            return true;
        }
    }

    /// <summary>A frame was not applied, nor will those behind it be.</summary>
    public void Refuse(PendingFrame frame, WireError error)
    {
        lock (_lock)
        {
            ReturnBytes(_intake.QueueBytes(frame) + _intake.ReplyBytes(frame));
            _accepted = frame.Seq - 1;
            _stream?.Post(new ErrorFrame(error with { Seq = frame.Seq }));
        }
    }

    /// <summary>A frame behind a refused one, or of a closed session, is dropped.</summary>
    public void Discard(PendingFrame frame)
    {
        lock (_lock)
        {
            ReturnBytes(_intake.QueueBytes(frame) + _intake.ReplyBytes(frame));
        }
    }

    /// <summary>Ends the session for good. Called by <see cref="SessionTable"/>.</summary>
    public void MarkClosed(WireError reason, bool tellStream)
    {
        lock (_lock)
        {
            if (_closed is not null)
            {
                return;
            }

            _closed = reason;
            _stream?.End(tellStream ? reason : null);
            _stream = null;
            Next?.End();
            ReturnBytes(_replies.Forget(ulong.MaxValue));
        }
    }

    private static Acceptance Refused(ulong seq, WireErrorCode code, string message, int retryAfterMs = 0) =>
        new(null, new ErrorFrame(new WireError(code, message, SessionSurvives: true, retryAfterMs, seq)));

    private Acceptance Repeated(ulong seq)
    {
        if (seq > _applied)
        {
            // Still queued: its reply will come.
            return default;
        }

        return _replies.Find(seq) is { } reply
            ? new Acceptance(null, reply)
            : Refused(seq, WireErrorCode.OutOfOrder, $"Frame {seq} was applied and its reply acknowledged.");
    }

    private void Forget(ulong ack)
    {
        ReturnBytes(_replies.Forget(ack));
        _acked = Math.Max(_acked, ack);
    }

    private void ReturnBytes(long bytes)
    {
        _bytes.Return(bytes);
        _workerBytes.Return(bytes);
    }
}
