using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Sessions;

/// <summary>
/// One conversation over the split. A step is one round trip:
/// <list type="number">
/// <item>the head turns the step's tokens into hidden states;</item>
/// <item>they go to the middle, with the rows committed since the last step (<see cref="SubmitAsync"/>);</item>
/// <item>the middle's hidden states come back (<see cref="ReceiveAsync"/>);</item>
/// <item>the tail turns those the verdict asks for into logits (<see cref="EvaluateAsync"/>);</item>
/// <item>the verdict commits a chain of rows (<see cref="Commit"/>): on head and tail at once, on the middle with the next step.</item>
/// </list>
/// Several steps may be in flight. Rows of the prompt commit themselves. Used by one caller at a time.
/// </summary>
public sealed class SplitSession : IAsyncDisposable
{
    private readonly TrustedModel _model;
    private readonly IMiddle _middle;
    private readonly EmbeddingNoise? _noise;
    private readonly KvCache _head;
    private readonly TailRows _tail;
    private readonly RowLedger _ledger = new();
    private readonly Queue<Flight> _flights = new();
    private float[] _hidden = [];
    private ulong[] _prefillIds = [];
    private int _rowsInFlight;
    private IProgress<int>? _progress;
    private int _answered;

    /// <param name="model">Head, tail and tokenizer of this process.</param>
    /// <param name="middle">The session's middle layers; disposed with the session.</param>
    /// <param name="maxTokens">Most rows the session may hold, prompt, output and live drafts together.</param>
    /// <param name="noise">Embedding noise of this session, or null for none.</param>
    public SplitSession(TrustedModel model, IMiddle middle, int maxTokens, EmbeddingNoise? noise = null)
    {
        _noise = noise;
        _model = model;
        _middle = middle;
        MaxTokens = maxTokens;
        _head = model.Head.CreateCache(maxTokens);
        _tail = new TailRows(model.Tail, model.Tail.CreateCache(maxTokens), model.Config.HiddenSize);
    }

    /// <summary>The trusted side's model.</summary>
    public TrustedModel Model => _model;

    /// <summary>The session's middle layers.</summary>
    public IMiddle Middle => _middle;

    /// <summary>Most rows the session may hold.</summary>
    public int MaxTokens { get; }

    /// <summary>Tokens whose rows are committed (or, for a prompt still in flight, will be).</summary>
    public IReadOnlyList<int> CommittedTokens => _ledger.CommittedTokens;

    /// <summary>Id of the last committed row, the parent of the next; 0 when none.</summary>
    public ulong LastCommittedId => _ledger.LastCommittedId;

    /// <summary>Id the first row of the next step will get; the others follow it.</summary>
    public ulong NextRowId => _ledger.NextId;

    /// <summary>Steps submitted and not received, prompt chunks included.</summary>
    public int StepsInFlight => _flights.Count;

    /// <summary>
    /// False once an operation ended halfway (cancelled or failed between two sides): they may disagree about what is committed, and
    /// the session can only be disposed. Cancelling while an answer is awaited leaves a session intact.
    /// </summary>
    public bool IsIntact { get; private set; } = true;

    /// <summary>Live rows: sent, neither committed nor dead.</summary>
    public int LiveRows => _head.LiveCount;

    /// <summary>What time is measured with.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>True when the next <see cref="ReceiveOneAsync"/> answers without waiting (or the middle cannot tell).</summary>
    public bool ReplyReady => _flights.Count > 0 && _middle.ReplyReady;

    /// <summary>What the step received last took.</summary>
    public StepTiming LastStep { get; private set; }

    /// <summary>Where the time went.</summary>
    public SessionTimings Timings { get; } = new();

    /// <summary>Frames of decoding steps so far (prompt chunks not counted).</summary>
    public int FramesSent { get; private set; }

    /// <summary>Rows sent in decoding steps so far.</summary>
    public long RowsSent { get; private set; }

    /// <summary>
    /// Sends prompt tokens that continue the committed ones, in chunks that overlap on the way, and returns when the last
    /// chunk is sent; its answers are received with later steps.
    /// </summary>
    /// <param name="tokens">Prompt tokens not yet committed, all but the last (which starts the first step).</param>
    /// <param name="chunkRows">Rows per frame.</param>
    /// <param name="progress">Of a prompt of several chunks: tokens answered so far, as the answers come.</param>
    /// <param name="cancellationToken">Stops between chunks; the session must then be truncated or dropped.</param>
    public async ValueTask PrefillAsync(ReadOnlyMemory<int> tokens, int chunkRows, IProgress<int>? progress, CancellationToken cancellationToken)
    {
        int sent = 0;
        chunkRows = Math.Min(chunkRows, _middle.MaxRowsPerStep);
        (_progress, _answered) = (tokens.Length > chunkRows ? progress : null, 0);
        while (sent < tokens.Length)
        {
            // Keep one flight free, so that the first decoding step never waits for the prompt's answers.
            while (_flights.Count >= Math.Max(1, _middle.MaxStepsInFlight - 1))
            {
                await ReceiveOneAsync(cancellationToken);
            }

            int count = Math.Min(chunkRows, tokens.Length - sent);
            ReadOnlyMemory<int> chunk = tokens.Slice(sent, count);
            await SendAsync(chunk, _ledger.Chain(count), isPrefill: true, cancellationToken);
            Require(_head.Keep(_ledger.CommitChain(chunk.Span)));
            sent += count;
        }
    }

    /// <summary>
    /// Sends a step. Row i has token <paramref name="tokens"/>[i], parent <paramref name="parentIds"/>[i] (the last committed
    /// id, a live row, or an earlier row of this step) and id <see cref="NextRowId"/> + i.
    /// </summary>
    public async ValueTask SubmitAsync(ReadOnlyMemory<int> tokens, ReadOnlyMemory<ulong> parentIds, CancellationToken cancellationToken)
    {
        RowsSent += tokens.Length;
        FramesSent++;
        await SendAsync(tokens, _ledger.Tree(tokens.Span, parentIds.Span), isPrefill: false, cancellationToken);
    }

    /// <summary>Receives until a decoding step has been answered, committing prompt chunks on the way.</summary>
    public async ValueTask ReceiveAsync(CancellationToken cancellationToken)
    {
        while (await ReceiveOneAsync(cancellationToken) > 0)
        {
        }
    }

    /// <summary>Receives everything in flight.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        while (_flights.Count > 0)
        {
            await ReceiveOneAsync(cancellationToken);
        }
    }

    /// <summary>True when the row's hidden state has come back.</summary>
    public bool HasArrived(ulong rowId) => _tail.Has(rowId);

    /// <summary>True when the row was evaluated: <see cref="Summary"/> tells whether whole or in short.</summary>
    public bool HasVerdict(ulong rowId) => _tail.HasVerdict(rowId);

    /// <summary>True when <see cref="Logits"/> may be called for the row.</summary>
    public bool HasLogits(ulong rowId) => _tail.HasLogits(rowId);

    /// <summary>
    /// What rows are evaluated to, where the tail's device is better not asked for whole rows of logits; null asks for whole rows.
    /// </summary>
    public LogitReduction? Reduction { get; set; }

    /// <summary>Rows evaluated in short of which the whole was needed after all.</summary>
    public long RowsCompleted => _tail.RowsCompleted;

    /// <summary>Runs the tail over rows that have arrived (and their ancestors) in one pass.</summary>
    public ValueTask EvaluateAsync(ReadOnlyMemory<ulong> rowIds, CancellationToken cancellationToken) =>
        RunTailAsync(rowIds, wantLogits: true, _model.Device.PrefersTopRows ? Reduction?.Ask(_ledger.LiveTokens) : null, cancellationToken);

    /// <summary>The row in short, or null when it was evaluated whole.</summary>
    public LogitSummary? Summary(ulong rowId) => _tail.Summary(rowId);

    /// <summary>Makes the whole row, for <see cref="Logits"/>, of one evaluated in short.</summary>
    public async ValueTask CompleteAsync(ulong rowId, CancellationToken cancellationToken)
    {
        using ComputeGate.Lease lease = await _model.Gate.EnterAsync(cancellationToken);
        long started = Clock.GetTimestamp();
        _tail.Complete(rowId);
        Timings.TailMs += Clock.GetElapsedTime(started).TotalMilliseconds;
    }

    /// <summary>Logits [vocabulary] of an evaluated row, valid until the next call that receives or commits.</summary>
    public ReadOnlySpan<float> Logits(ulong rowId) => _tail.Logits(rowId);

    /// <summary>Commits a chain of evaluated rows that continues the committed ones; every live row not descending from its last dies.</summary>
    public void Commit(ReadOnlySpan<ulong> rowIds)
    {
        if (rowIds.IsEmpty)
        {
            return;
        }

        _tail.Commit(rowIds);
        Require(_head.Keep(rowIds));
        _ledger.Commit(rowIds);
        _ledger.ForgetDead(_head.IsLive);
    }

    /// <summary>Forgets committed tokens from <paramref name="length"/> on, and every live row, everywhere.</summary>
    public async ValueTask TruncateAsync(int length, CancellationToken cancellationToken)
    {
        if (length == CommittedTokens.Count && _head.LiveCount == 0 && _flights.Count == 0)
        {
            return;
        }

        await DrainAsync(cancellationToken);
        IsIntact = false;
        await _middle.TruncateAsync(_ledger.TakeUntold(), length, cancellationToken);
        _ledger.Truncate(length);
        Require(_head.Truncate(length));
        _tail.Truncate(length, LastCommittedId);
        IsIntact = true;
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _middle.DisposeAsync();
        _head.Dispose();
        _tail.Dispose();
    }

    /// <summary>Steps 1 and 2: the head over the rows, then the frame.</summary>
    private async ValueTask SendAsync(ReadOnlyMemory<int> tokens, ReadOnlyMemory<TreeRow> rows, bool isPrefill, CancellationToken cancellationToken)
    {
        int count = rows.Length;
        int floats = count * _model.Config.HiddenSize;
        if (_hidden.Length < floats)
        {
            _hidden = new float[floats];
        }

        var job = new HeadJob { Clock = Clock, Cache = _head, Rows = rows, Tokens = tokens, Hidden = _hidden.AsMemory(0, floats), Noise = _noise };
        await _model.HeadPasses.RunAsync(job, cancellationToken);
        double headMs = job.ElapsedMs;
        Timings.HeadMs += headMs;

        IsIntact = false;
        ReadOnlyMemory<ulong> keep = _ledger.TakeUntold();
        _ledger.Sent(count);
        _flights.Enqueue(new Flight(count, _rowsInFlight, isPrefill, headMs));
        _rowsInFlight += count;
        await _middle.SubmitAsync(keep, rows, _hidden.AsMemory(0, floats), cancellationToken);
        IsIntact = true;
    }

    /// <summary>Step 3: one answer, the oldest one due. Returns its rows if it was a prompt chunk (now committed), 0 otherwise.</summary>
    public async ValueTask<int> ReceiveOneAsync(CancellationToken cancellationToken)
    {
        Flight flight = _flights.Peek();
        long started = Clock.GetTimestamp();
        IsIntact = false;
        MiddleReply reply;
        try
        {
            reply = await _middle.ReceiveAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            IsIntact = true; // the answer is still to come, and is received by whoever asks next
            throw;
        }

        _flights.Dequeue();
        _rowsInFlight -= flight.Count;
        double waitMs = Clock.GetElapsedTime(started).TotalMilliseconds;
        double workerMs = reply.ComputeMs + reply.QueueMs;
        Timings.MiddleMs += workerMs;
        Timings.CodecMs += reply.CodecMs;
        Timings.NetworkMs += Math.Max(0, waitMs - workerMs);
        LastStep = new StepTiming(flight.Count, flight.RowsAhead, flight.HeadMs, reply.ComputeMs, reply.QueueMs, reply.CodecMs, reply.TripMs);

        int width = _model.Config.HiddenSize;
        ulong parent = 0;
        for (int i = 0; i < reply.RowIds.Length; i++)
        {
            ulong id = reply.RowIds.Span[i];
            if (flight.IsPrefill)
            {
                // A prompt row's parent is the row before it.
                parent = i > 0 ? reply.RowIds.Span[i - 1] : _tail.LastCommittedId;
            }
            else if (!_ledger.TryGetParent(id, out parent))
            {
                continue; // died while it was on its way
            }

            _tail.Add(id, parent, reply.Hidden.Span.Slice(i * width, width));
        }

        if (flight.IsPrefill)
        {
            await CommitPrefillAsync(reply.RowIds, cancellationToken);
            _progress?.Report(_answered += flight.Count);
        }

        IsIntact = true;
        return flight.IsPrefill ? flight.Count : 0;
    }

    private async ValueTask CommitPrefillAsync(ReadOnlyMemory<ulong> ids, CancellationToken cancellationToken)
    {
        if (_prefillIds.Length < ids.Length)
        {
            _prefillIds = new ulong[ids.Length];
        }

        ids.CopyTo(_prefillIds);
        await RunTailAsync(_prefillIds.AsMemory(0, ids.Length), wantLogits: false, tops: null, cancellationToken);
        _tail.Commit(_prefillIds.AsSpan(0, ids.Length));
    }

    private async ValueTask RunTailAsync(ReadOnlyMemory<ulong> ids, bool wantLogits, TopRows? tops, CancellationToken cancellationToken)
    {
        if (_tail.Evaluate(ids.Span, wantLogits, tops, Clock) is not { } job)
        {
            return;
        }

        try
        {
            await _model.TailPasses.RunAsync(job, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _tail.Forgo();
            throw;
        }

        _tail.Evaluated(job);
        Timings.TailMs += job.ElapsedMs;
    }

    private void Require(CacheOutcome outcome)
    {
        if (!outcome.Succeeded)
        {
            throw InferenceException.For(outcome, _head, _model.Config.ContextLength);
        }
    }

    /// <summary>A step on its way.</summary>
    private readonly record struct Flight(int Count, int RowsAhead, bool IsPrefill, double HeadMs);
}
