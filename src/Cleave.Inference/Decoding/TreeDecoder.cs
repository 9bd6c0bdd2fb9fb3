using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Decoding;

/// <summary>
/// The one decoding loop. Every strategy is a drafter that grows a tree; this loop sends it, walks it with the model's own
/// choices, and commits the path. A round:
/// <list type="number">
/// <item>if the root's row is not on its way: grow the tree under the node rule and send it, the root first;</item>
/// <item>until the root's row is back, use the wait: draft further, and (pipelined) send what that brings;</item>
/// <item>walk from the root: the sampler chooses a token after each row; while the tree holds it and its row is here, go on;</item>
/// <item>commit the rows walked, tell the drafter, reroot the tree at the first token whose row is not here.</item>
/// </list>
/// What is chosen after a row depends on that row alone, so the tokens are those of one-at-a-time decoding, whatever was drafted,
/// sent or late. Rows of a branch that died on its way are ignored when they come.
/// </summary>
public sealed class TreeDecoder
{
    /// <summary>Rows worth a place in the tail's batch: the walk goes there next with at least this probability.</summary>
    private const double WorthEvaluating = 0.16;

    private readonly SplitSession _session;
    private readonly IDrafter _drafter;
    private readonly Sampler _sampler;
    private readonly TokenHistory _history;
    private readonly DecodingOptions _options;
    private readonly ITokenObserver? _observer;
    private readonly DraftTree _tree = new();
    private readonly TreeGrowth _growth;
    private readonly FrameTimeline _timeline;
    private readonly SpeculationPurse _purse;
    private readonly TimeProvider _clock;
    private readonly List<int> _path = [];
    private readonly List<DecodedToken> _decoded = [];
    private readonly List<ulong> _rowIds = [];
    private readonly List<int> _observed = [];
    private readonly StepFrame _frame = new();
    private double[] _reach = new double[64];
    private readonly PathMasks? _masks;
    private double _stallDraftMs;
    private int _frames;
    private int _rowsSent;

    /// <param name="session">Already truncated to the prefix the prompt shares with it.</param>
    /// <param name="drafter">Guesses.</param>
    /// <param name="sampler">Chooses.</param>
    /// <param name="history">Holds the prompt's tokens.</param>
    /// <param name="costs">Estimates, kept across generations of a session.</param>
    /// <param name="acceptance">Calibration of what the drafter claims, kept likewise.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="mask">Tokens allowed at the start, or null for all.</param>
    /// <param name="observer">Sees logits, or null.</param>
    public TreeDecoder(
        SplitSession session, IDrafter drafter, Sampler sampler, TokenHistory history, StepCosts costs, AcceptanceModel acceptance,
        DecodingOptions options, ITokenMask? mask = null, ITokenObserver? observer = null)
    {
        _session = session;
        _drafter = drafter;
        _sampler = sampler;
        _history = history;
        Costs = costs;
        _tree.Acceptance = acceptance;
        _options = options;
        _masks = mask is null ? null : new PathMasks(_tree, mask);
        _tree.Allows = _masks is null ? null : _masks.Allows;
        _observer = observer;
        _clock = session.Clock;
        session.Reduction = mask is null && observer is null ? sampler.Reduction(history, session.Model.Tail.VocabularySize) : null;
        _growth = new TreeGrowth(_tree, drafter, costs, _clock);
        _timeline = new FrameTimeline(costs);
        _purse = new SpeculationPurse(costs);
    }

    /// <summary>Cost estimates in use.</summary>
    public StepCosts Costs { get; }

    /// <summary>Every verdict so far.</summary>
    public List<StepRecord> Steps { get; } = [];

    /// <summary>Draft rows sent so far.</summary>
    public long Proposed { get; private set; }

    /// <summary>Draft rows whose token was right.</summary>
    public long Accepted { get; private set; }

    /// <summary>Dependent round trips so far: frames sent because the newest token's row was not on its way.</summary>
    public int RoundTrips { get; private set; }

    /// <summary>Nodes the drafter was asked about so far.</summary>
    public long NodesDrafted => _growth.NodesAsked;

    /// <summary>
    /// Generates after <paramref name="prompt"/>, whose committed prefix the session already holds and whose rest is sent by
    /// <see cref="SplitSession.PrefillAsync"/> before the call, all but the last token.
    /// </summary>
    public async IAsyncEnumerable<DecodedToken> DecodeAsync(ReadOnlyMemory<int> prompt, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long started = _clock.GetTimestamp();
        _tree.Reset(prompt.Span[^1]);
        _drafter.UseSampling(_sampler.Options);
        _drafter.Begin(prompt.Span, _tree);
        _session.Timings.DraftMs += _clock.GetElapsedTime(started).TotalMilliseconds;
        int generated = 0;
        int trips = 0;
        int limit = Math.Min(_options.MaxTokens, Math.Min(_session.MaxTokens, _session.Model.Config.ContextLength) - prompt.Length + 1);
        double draftedMs = 0;
        bool ended = false;
        while (!ended && generated < limit)
        {
            // 1. Grow and send.
            _tree.MaxDepth = limit - generated - 1;
            if (_tree[0].RowId == 0)
            {
                await StartRoundAsync(cancellationToken);
            }

            // 2. Use the wait.
            while (!IsHere(0))
            {
                await UseWaitAsync(cancellationToken);
            }

            if (_drafter.ObservesRows)
            {
                await ObserveAsync(cancellationToken);
            }

            // 3. Walk.
            _decoded.Clear();
            _path.Clear();
            _path.Add(0);
            int step = Steps.Count + 1;
            while (generated < limit && !ended && IsHere(_path[^1]))
            {
                int at = _path[^1];
                await EvaluateAsync(at, cancellationToken);
                int token = await ChooseAsync(at, cancellationToken);
                ended = _options.StopAtEndOfTurn && _session.Model.Tokenizer.IsEndOfTurn(token);
                _tree.Learn(at, token);
                int child = _tree.FindChild(at, token);
                bool drafted = child >= 0 && _tree[child].RowId != 0;
                _path.Add(child >= 0 ? child : _tree.AddCertain(at, token));
                _decoded.Add(new DecodedToken(token, drafted, step));
                Accepted += drafted ? 1 : 0;
                generated++;
            }

            // 4. Commit.
            Commit();
            double milliseconds = _clock.GetElapsedTime(started).TotalMilliseconds;
            double draftMs = _growth.TotalMs - draftedMs;
            (started, draftedMs) = (_clock.GetTimestamp(), _growth.TotalMs);
            _session.Timings.DraftMs += draftMs;
            Steps.Add(new StepRecord(_rowsSent, _decoded.Count, milliseconds, draftMs, _stallDraftMs, _frames));
            (_rowsSent, _stallDraftMs, _frames) = (0, 0, 0);
            Costs.ObserveVerdict(_decoded.Count, milliseconds);
            _purse.Settle(_decoded.Count, RoundTrips - trips, milliseconds);
            trips = RoundTrips;
            foreach (DecodedToken token in _decoded)
            {
                yield return token;
            }
        }
    }

    /// <summary>Step 1: the root and what is worth going with it. Everything waits for this frame, so time counts in full.</summary>
    private async ValueTask StartRoundAsync(CancellationToken cancellationToken)
    {
        double threshold = _options.Threshold ?? Costs.Threshold;
        int maxRows = Math.Min(RowsAllowed(), RowsAffordable(1) + 1);
        int aim = _drafter.Pipelines && Costs.Link.BaseMs > Costs.Worker.Of(FrameRows) ? Math.Min(maxRows, FrameRows) : maxRows;
        double before = _growth.TotalMs;
        while (_frame.Collect(_tree, threshold, maxRows) < aim && MayStall(_growth.TotalMs - before)
            && _growth.Step(threshold, threshold, _options.Threshold is null ? Costs.TokensPerMs : 0))
        {
        }

        double draftMs = _growth.TotalMs - before;
        _stallDraftMs += draftMs;
        _purse.Pay(0, 1, draftMs);
        _frame.Collect(_tree, threshold, maxRows);
        RoundTrips++;
        await SendAsync(1, cancellationToken);
    }

    /// <summary>Guessed rows that may be sent; unbounded where the threshold is fixed, or the drafter's shape.</summary>
    private int RowsAffordable(double share) => _options.Threshold is null && !_drafter.ObservesRows ? _purse.Rows(share) : 4096;

    /// <summary>True when a frame may wait for another call of the drafter, which has taken so long for it already.</summary>
    private bool MayStall(double draftMs) => !_drafter.IsCostly || _options.Threshold is not null || _purse.Covers(draftMs + Costs.Draft.Of(8));

    /// <summary>Step 2: one piece of drafting, one frame ahead, or one reply.</summary>
    private async ValueTask UseWaitAsync(CancellationToken cancellationToken)
    {
        if (!_session.ReplyReady)
        {
            double now = NowMs;
            double leftMs = _timeline.NextReplyAt - now;
            double threshold = _options.Threshold ?? Costs.Threshold;
            double floor = AheadFloor(threshold, leftMs);
            if (_drafter.Pipelines && floor < 1)
            {
                int rows = _frame.Collect(_tree, floor, RowsAhead(now));
                if (rows > 0 && (rows >= FrameRows || !_growth.HasFrontier(floor)) && IsWorthAFrame(leftMs))
                {
                    await SendAsync(_options.AheadCost, cancellationToken);
                    return;
                }
            }

            double draftFloor = Math.Min(floor, 0.5 * threshold);
            if (_drafter.IsCostly && leftMs > Costs.Draft.Of(8) && !_drafter.ObservesRows && _growth.Step(draftFloor, draftFloor, 0))
            {
                return;
            }
        }

        if (await _session.ReceiveOneAsync(cancellationToken) == 0)
        {
            _timeline.Received();
        }

        Costs.Observe(_session.LastStep);
    }

    /// <summary>
    /// Path probability from which a row is worth sending now rather than after the next reply: it brings its tokens that much
    /// sooner, and takes a share of its full cost.
    /// </summary>
    private double AheadFloor(double threshold, double leftMs)
    {
        double sooner = Math.Min(1, leftMs / Costs.StepMs(FrameRows));
        return sooner <= 0 ? 1 : Math.Min(1, _options.AheadCost * threshold / sooner);
    }

    /// <summary>A frame has a price of its own (the worker reads all weights for it).</summary>
    private bool IsWorthAFrame(double leftMs) =>
        _frame.Mass * Math.Min(1, leftMs / Costs.StepMs(FrameRows))
        > _options.AheadCost * Costs.TokensPerMs * (Costs.Worker.BaseMs + Costs.Head.BaseMs);

    /// <summary>Rows the worker can do before a frame sent at the next reply would reach it.</summary>
    private int RowsAhead(double now)
    {
        if (_session.StepsInFlight >= _session.Middle.MaxStepsInFlight)
        {
            return 0;
        }

        double idleMs = _timeline.NextReplyAt + (0.5 * Costs.Link.BaseMs) - _timeline.DoneAt(now, 0);
        double rowMs = Math.Max(Costs.Worker.RowMs, 0.5 * Costs.Link.RowMs);
        int most = Math.Min(Math.Min(RowsAllowed(), 2 * FrameRows), RowsAffordable(_options.AheadCost));
        return Math.Clamp((int)(idleMs / Math.Max(rowMs, 1e-3)), 0, most);
    }

    private int RowsAllowed()
    {
        int live = _session.LiveRows;
        int rows = Math.Min(_options.MaxRowsPerStep, _session.Middle.MaxRowsPerStep);
        rows = Math.Min(rows, Math.Max(1, _options.MaxRowsInFlight - live));
        return Math.Min(rows, _session.MaxTokens - _session.CommittedTokens.Count - live);
    }

    /// <summary>Sends the frame, whose guesses cost <paramref name="share"/> of what rows cost that are waited for.</summary>
    private async ValueTask SendAsync(double share, CancellationToken cancellationToken)
    {
        _frame.Name(_tree, _session.NextRowId, _session.LastCommittedId);
        int guesses = 0;
        foreach (int node in _frame.Nodes)
        {
            guesses += _tree[node].Parent < 0 || _tree[node].WindowOnly ? 0 : 1;
        }

        Proposed += guesses;
        _purse.Pay(guesses, share, 0);

        int rows = _frame.Nodes.Length;
        _rowsSent += rows;
        _frames++;
        await _session.SubmitAsync(_frame.Tokens, _frame.Parents, cancellationToken);
        _timeline.Sent(NowMs, rows);
    }

    /// <summary>Rows a frame of a pipeline aims at: more of them where a frame costs a lot whatever it holds.</summary>
    private int FrameRows => (int)Math.Clamp(
        (Costs.Worker.BaseMs + Costs.Head.BaseMs) / Math.Max(1e-6, Costs.Worker.RowMs + Costs.Head.RowMs), _options.FrameRows, 2 * _options.FrameRows);

    private double NowMs => _clock.GetElapsedTime(0).TotalMilliseconds;

    private bool IsHere(int node) => _tree[node].RowId != 0 && _session.HasArrived(_tree[node].RowId);

    /// <summary>Runs the tail over a node and those below it that the walk will probably visit.</summary>
    private async ValueTask EvaluateAsync(int node, CancellationToken cancellationToken)
    {
        if (_session.HasVerdict(_tree[node].RowId))
        {
            return;
        }

        CollectProbable(node);
        await EvaluateRowsAsync(cancellationToken);
    }

    private void CollectProbable(int node)
    {
        if (_reach.Length < _tree.Count)
        {
            _reach = new double[2 * _tree.Count];
        }

        _rowIds.Clear();
        for (int i = node; i < _tree.Count; i++)
        {
            _reach[i] = i == node ? 1 : _tree[i].Parent < node || _tree[i].WindowOnly ? 0 : _reach[_tree[i].Parent] * _tree[i].Probability;
            if (_reach[i] >= WorthEvaluating && IsHere(i))
            {
                _rowIds.Add(_tree[i].RowId);
            }
            else
            {
                _reach[i] = 0;
            }
        }
    }

    private async ValueTask EvaluateRowsAsync(CancellationToken cancellationToken)
    {
        long started = _clock.GetTimestamp();
        await _session.EvaluateAsync(_rowIds.ToArray(), cancellationToken);
        Costs.Tail.Observe(_rowIds.Count, _clock.GetElapsedTime(started).TotalMilliseconds);
    }

    private async ValueTask ObserveAsync(CancellationToken cancellationToken)
    {
        CollectProbable(0);
        _observed.Clear();
        foreach (int node in _frame.Nodes)
        {
            if (_tree[node].Observed)
            {
                _observed.Add(node);
                _rowIds.Add(_tree[node].RowId);
            }
        }

        if (_observed.Count > 0)
        {
            await EvaluateRowsAsync(cancellationToken);
            _drafter.Observe(_tree, CollectionsMarshal.AsSpan(_observed), node => Best(_tree[node].RowId));
        }
    }

    /// <summary>The model's token after a node, and what follows from it for the path's history and mask.</summary>
    private async ValueTask<int> ChooseAsync(int node, CancellationToken cancellationToken)
    {
        ulong row = _tree[node].RowId;
        int position = _session.CommittedTokens.Count + _path.Count; // the root's row is the next position, its successor one more
        if (_session.Reduction is null || _session.Summary(row) is not { } summary || !_sampler.TryChoose(summary, _history, position, out int token))
        {
            if (!_session.HasLogits(row))
            {
                await _session.CompleteAsync(row, cancellationToken);
            }

            token = _sampler.Choose(_session.Logits(row), _history, position, _masks?.Current);
            _observer?.OnToken(token, _session.Logits(row));
        }

        _history.AddOutput(token);
        _masks?.Advance(token);
        return token;
    }

    private int Best(ulong row) => _session.Summary(row) is { } summary ? summary.Tokens[0] : Sampler.ArgMax(_session.Logits(row));

    private void Commit()
    {
        _rowIds.Clear();
        for (int i = 0; i < _path.Count - 1; i++)
        {
            _rowIds.Add(_tree[_path[i]].RowId);
        }

        _session.Commit(CollectionsMarshal.AsSpan(_rowIds));
        _drafter.Advance(_tree, CollectionsMarshal.AsSpan(_path));
        _tree.Reroot(_path[^1]);
        if (_path.Count > 1)
        {
            _masks?.Reroot();
        }
    }
}
