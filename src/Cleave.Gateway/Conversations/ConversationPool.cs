using Cleave.Inference;
using Cleave.Protocol;

namespace Cleave.Gateway.Conversations;

/// <summary>
/// Sessions shared by all requests of a process. A request gets:
/// <list type="number">
/// <item>the idle session whose committed tokens share the longest prefix with its prompt, when most of that session or all of the prompt is in it;</item>
/// <item>else one that was opened ahead and is still empty, or a new one while there is room;</item>
/// <item>else the session idle longest, whose rows are forgotten;</item>
/// <item>else a place in the queue, first come first served.</item>
/// </list>
/// How a session was chosen changes what is sent, never the text.
/// </summary>
public sealed class ConversationPool : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly Func<ConversationOpening, CancellationToken, Task<TextGenerator>> _open;
    private readonly TimeProvider _time;
    private readonly TimeSpan _idleLimit;
    private readonly List<(Conversation Conversation, long Since)> _idle = []; // longest idle first
    private readonly LinkedList<WaitingRequest> _waiters = new();
    private readonly int _maxWaiting;
    private readonly ITimer? _sweep;
    private readonly int _maxCapacity;
    private readonly CancellationTokenSource _closing = new();
    private int _capacity;
    private int _count;
    private double? _rttMs;
    private bool _openingAhead;
    private bool _disposed;

    /// <param name="open">Opens a session; given the round-trip time when it is known.</param>
    /// <param name="capacity">Most sessions open at once.</param>
    /// <param name="maxWaiting">Most requests waiting for one.</param>
    /// <param name="idleLimit">How long the worker keeps an idle session; idle sessions are closed somewhat earlier. Zero keeps them.</param>
    /// <param name="time">Clock.</param>
    public ConversationPool(
        Func<ConversationOpening, CancellationToken, Task<TextGenerator>> open, int capacity, int maxWaiting, TimeSpan idleLimit, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _open = open;
        _capacity = _maxCapacity = capacity;
        _maxWaiting = maxWaiting;
        _time = time;
        _idleLimit = idleLimit * 0.8;
        if (idleLimit > TimeSpan.Zero)
        {
            TimeSpan period = TimeSpan.FromSeconds(Math.Clamp(idleLimit.TotalSeconds / 10, 1, 60));
            _sweep = time.CreateTimer(_ => _ = CloseExpiredAsync(), null, period, period);
        }
    }

    /// <summary>Sessions open, waiting requests, and the most sessions there may be.</summary>
    public (int Open, int Idle, int Waiting, int Capacity) Counts
    {
        get
        {
            lock (_lock)
            {
                return (_count, _idle.Count, _waiters.Count, _capacity);
            }
        }
    }

    /// <summary>Round-trip time as measured by the first session, or null before it.</summary>
    public double? RttMs => _rttMs;

    /// <summary>
    /// Opens a session ahead of the first request, so that it waits neither for the connection nor for the pings; where one is
    /// idle, makes sure that its worker answers.
    /// </summary>
    /// <exception cref="WireException">The worker refuses or cannot be reached.</exception>
    public async Task WarmAsync(CancellationToken cancellationToken)
    {
        await using ConversationLease lease = await RentAsync(default, cancellationToken);
        await lease.Generator.PrepareAsync(cancellationToken);
        if (!lease.IsFresh)
        {
            await lease.Generator.Session.Middle.PingAsync(cancellationToken);
        }
    }

    /// <summary>Closes all idle sessions: the worker they were with is lost.</summary>
    public async Task DropIdleAsync()
    {
        List<Conversation> lost;
        lock (_lock)
        {
            lost = [.. _idle.Select(static idle => idle.Conversation)];
            _idle.Clear();
            _rttMs = null; // the worker may come back elsewhere
        }

        await CloseAsync(lost);
    }

    /// <summary>A session for <paramref name="prompt"/>, to be disposed when the answer has ended.</summary>
    /// <exception cref="GatewayBusyException">Too many requests wait already, or the worker takes no session.</exception>
    /// <exception cref="WireException">The worker refuses or cannot be reached.</exception>
    public async Task<ConversationLease> RentAsync(ReadOnlyMemory<int> prompt, CancellationToken cancellationToken)
    {
        while (true)
        {
            WaitingRequest? waiter = null;
            Conversation? conversation = null;
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                if (_waiters.Count > 0 || !TryTake(prompt.Span, out conversation))
                {
                    if (_waiters.Count >= _maxWaiting)
                    {
                        throw new GatewayBusyException($"{_waiters.Count} requests wait for {_capacity} conversations; try again later");
                    }

                    waiter = new WaitingRequest(prompt);
                    _waiters.AddLast(waiter.Node);
                }
            }

            if (waiter is not null)
            {
                conversation = await WaitAsync(waiter, cancellationToken);
            }

            if (conversation is not null)
            {
                if (await IsUsableAsync(conversation, cancellationToken))
                {
                    return new ConversationLease(this, conversation, isFresh: false);
                }

                continue;
            }

            if (await TryOpenAsync(cancellationToken) is { } opened)
            {
                return new ConversationLease(this, opened, isFresh: true);
            }
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        List<Conversation> closing;
        lock (_lock)
        {
            _disposed = true;
            closing = [.. _idle.Select(static idle => idle.Conversation)];
            _idle.Clear();
            foreach (WaitingRequest waiter in _waiters)
            {
                waiter.Turn.TrySetException(new ObjectDisposedException(nameof(ConversationPool)));
            }

            _waiters.Clear();
        }

        await _closing.CancelAsync();
        if (_sweep is not null)
        {
            await _sweep.DisposeAsync();
        }

        await CloseAsync(closing);
    }

    /// <summary>Takes a session back. One that is not <paramref name="reusable"/> is closed, which drops what it has queued on the worker.</summary>
    internal async ValueTask ReturnAsync(Conversation conversation, bool reusable)
    {
        bool keep;
        lock (_lock)
        {
            if (_rttMs is null && conversation.Generator.RttMs > 0)
            {
                _rttMs = conversation.Generator.RttMs;
            }

            keep = reusable && conversation.Generator.Session.IsIntact && !conversation.Events.IsRecovering && !_disposed;
            if (keep)
            {
                conversation.BeginSettling();
                _idle.Add((conversation, _time.GetTimestamp()));
                ServeWaiting();
                OpenAhead();
            }
        }

        if (!keep)
        {
            await CloseAsync([conversation]);
        }
    }

    /// <summary>Under the lock. Opens a session for the next new conversation, which then need not wait for its round trips.</summary>
    private void OpenAhead()
    {
        if (!_openingAhead && !_disposed && _count < _capacity && !_idle.Any(static idle => idle.Conversation.IsEmpty))
        {
            _openingAhead = true;
            _count++;
            _ = OpenAheadAsync();
        }
    }

    private async Task OpenAheadAsync()
    {
        try
        {
            await Task.Yield();
            if (await TryOpenAsync(_closing.Token) is { } opened)
            {
                await using var lease = new ConversationLease(this, opened, isFresh: true) { Drop = true };
                await opened.Generator.PrepareAsync(_closing.Token);
                lease.Drop = false;
            }
        }
        catch (Exception exception) when (exception is WireException or OperationCanceledException or ObjectDisposedException)
        {
            // The next conversation opens its own, and tells why if that fails too.
        }
        finally
        {
            lock (_lock)
            {
                _openingAhead = false;
            }
        }
    }

    /// <summary>Waits until a session taken has settled. One that was lost meanwhile is closed; the caller takes another.</summary>
    private async ValueTask<bool> IsUsableAsync(Conversation conversation, CancellationToken cancellationToken)
    {
        try
        {
            if (await conversation.Settled.WaitAsync(cancellationToken))
            {
                return true;
            }
        }
        catch (OperationCanceledException)
        {
            await CloseAsync([conversation]);
            throw;
        }

        await CloseAsync([conversation]);
        return false;
    }

    /// <summary>Steps 1 to 3, under the lock. True with null when the caller is to open a session, whose place is already counted.</summary>
    private bool TryTake(ReadOnlySpan<int> prompt, out Conversation? conversation)
    {
        conversation = null;
        int best = -1;
        int bestShared = -1;
        for (int i = 0; i < _idle.Count; i++)
        {
            int shared = _idle[i].Conversation.SharedWith(prompt);
            if (shared >= bestShared)
            {
                (best, bestShared) = (i, shared);
            }
        }

        // Half of what it holds is of use (the next turn, an edited message, the same system prompt with little after it), or it
        // holds all that is asked (the same conversation once more, however long its answer was).
        bool worthwhile = best >= 0
            && (2 * bestShared >= _idle[best].Conversation.Generator.Session.CommittedTokens.Count || (prompt.Length > 1 && bestShared >= prompt.Length - 1));
        int taken = worthwhile ? best : _idle.FindIndex(static idle => idle.Conversation.IsEmpty);
        if (taken < 0 && _count < _capacity)
        {
            _count++;
            return true;
        }

        if (_idle.Count == 0)
        {
            return false;
        }

        taken = Math.Max(taken, 0);
        conversation = _idle[taken].Conversation;
        _idle.RemoveAt(taken);
        return true;
    }

    private void ServeWaiting()
    {
        while (_waiters.First is { } first && TryTake(first.Value.Prompt.Span, out Conversation? conversation))
        {
            _waiters.RemoveFirst();
            first.Value.Turn.TrySetResult(conversation); // removed under the lock by whoever gives up, so this succeeds
        }
    }

    private async Task<Conversation?> WaitAsync(WaitingRequest waiter, CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (waiter.Node.List is not null)
                {
                    _waiters.Remove(waiter.Node);
                    waiter.Turn.TrySetCanceled(cancellationToken);
                }
            }
        });
        return await waiter.Turn.Task;
    }

    /// <summary>Opens a session whose place is counted; null when the worker has no room for it and another must be awaited.</summary>
    private async Task<Conversation?> TryOpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            var events = new ConversationEvents();
            return new Conversation(await _open(new ConversationOpening(_rttMs, events), cancellationToken), events);
        }
        catch (Exception exception)
        {
            bool others;
            lock (_lock)
            {
                _count--;
                others = _count > 0;
                if (others && exception is WireException { Error.Code: WireErrorCode.QuotaExceeded or WireErrorCode.Busy })
                {
                    _capacity = _count; // the worker's own cap is lower than ours
                }
                else
                {
                    others = false;
                }

                ServeWaiting();
            }

            if (others)
            {
                return null;
            }

            throw;
        }
    }

    private async Task CloseExpiredAsync()
    {
        List<Conversation> expired = [];
        lock (_lock)
        {
            _capacity = Math.Min(_capacity + 1, _maxCapacity); // the worker may have room again
            while (_idle.Count > 0 && _time.GetElapsedTime(_idle[0].Since) > _idleLimit)
            {
                expired.Add(_idle[0].Conversation);
                _idle.RemoveAt(0);
            }
        }

        await CloseAsync(expired);
    }

    /// <summary>Closes sessions taken out of the pool. Their places are free once the worker was told: it counts them until then.</summary>
    private async Task CloseAsync(List<Conversation> conversations) => await Task.WhenAll(conversations.Select(async conversation =>
    {
        try
        {
            await conversation.DisposeAsync();
        }
        finally
        {
            lock (_lock)
            {
                _count--;
                ServeWaiting();
            }
        }
    }));
}
