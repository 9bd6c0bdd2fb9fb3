using System.Diagnostics;
using System.Runtime.CompilerServices;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Decoding;

/// <summary>
/// The one decoding loop. Every strategy is a drafter that grows a tree; this loop sends it, walks it with the model's own
/// choices, and commits the path. A step:
/// <list type="number">
/// <item>grow the tree under the node rule;</item>
/// <item>send the nodes not yet sent, the root first;</item>
/// <item>receive;</item>
/// <item>walk from the root: the sampler chooses a token after each row; while the tree holds it and its row is here, go on;</item>
/// <item>commit the rows walked, tell the drafter, reroot the tree at the first token without a row.</item>
/// </list>
/// What is chosen after a row depends on that row alone, so the tokens are those of one-at-a-time decoding.
/// </summary>
public sealed class TreeDecoder
{
    private readonly SplitSession _session;
    private readonly IDrafter _drafter;
    private readonly Sampler _sampler;
    private readonly TokenHistory _history;
    private readonly DecodingOptions _options;
    private readonly ITokenObserver? _observer;
    private readonly DraftTree _tree = new();
    private readonly List<int> _path = [];
    private readonly List<DecodedToken> _decoded = [];
    private readonly List<ulong> _rowIds = [];
    private int[] _frontier = new int[64];
    private int[] _stepNodes = new int[64];
    private int[] _stepTokens = new int[64];
    private ulong[] _stepParents = new ulong[64];
    private readonly PathMasks? _masks;

    /// <param name="session">Already truncated to the prefix the prompt shares with it.</param>
    /// <param name="drafter">Guesses.</param>
    /// <param name="sampler">Chooses.</param>
    /// <param name="history">Holds the prompt's tokens.</param>
    /// <param name="costs">Estimates, kept across generations of a session.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="mask">Tokens allowed at the start, or null for all.</param>
    /// <param name="observer">Sees logits, or null.</param>
    public TreeDecoder(
        SplitSession session, IDrafter drafter, Sampler sampler, TokenHistory history, StepCosts costs, DecodingOptions options,
        ITokenMask? mask = null, ITokenObserver? observer = null)
    {
        _session = session;
        _drafter = drafter;
        _sampler = sampler;
        _history = history;
        Costs = costs;
        _options = options;
        _masks = mask is null ? null : new PathMasks(_tree, mask);
        _tree.Allows = _masks is null ? null : _masks.Allows;
        _observer = observer;
    }

    /// <summary>Cost estimates in use.</summary>
    public StepCosts Costs { get; }

    /// <summary>Every step so far.</summary>
    public List<StepRecord> Steps { get; } = [];

    /// <summary>Draft rows sent so far.</summary>
    public long Proposed { get; private set; }

    /// <summary>Draft rows whose token was right.</summary>
    public long Accepted { get; private set; }

    /// <summary>
    /// Generates after <paramref name="prompt"/>, whose committed prefix the session already holds and whose rest is sent by
    /// <see cref="SplitSession.PrefillAsync"/> before the call, all but the last token.
    /// </summary>
    public async IAsyncEnumerable<DecodedToken> DecodeAsync(ReadOnlyMemory<int> prompt, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _tree.Reset(prompt.Span[^1]);
        _drafter.Begin(prompt.Span, _tree);
        int generated = 0;
        int limit = Math.Min(_options.MaxTokens, Math.Min(_session.MaxTokens, _session.Model.Config.ContextLength) - prompt.Length + 1);
        bool ended = false;
        while (!ended && generated < limit)
        {
            // 1. Grow.
            long started = Stopwatch.GetTimestamp();
            Grow(limit - generated);
            double draftMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            _session.Timings.DraftMs += draftMs;

            // 2. Send.
            int rows = CollectUnsent();
            await _session.SubmitAsync(_stepTokens.AsMemory(0, rows), _stepParents.AsMemory(0, rows), cancellationToken);

            // 3. Receive.
            await _session.ReceiveAsync(cancellationToken);
            if (_drafter.ObservesRows)
            {
                await ObserveAsync(rows, cancellationToken);
            }

            // 4. Walk.
            _decoded.Clear();
            _path.Clear();
            _path.Add(0);
            int step = Steps.Count + 1;
            while (generated < limit && !ended && IsHere(_path[^1]))
            {
                int at = _path[^1];
                await EvaluateAsync(at, cancellationToken);
                int token = Choose(at);
                ended = _options.StopAtEndOfTurn && _session.Model.Tokenizer.IsEndOfTurn(token);
                int child = _tree.FindChild(at, token);
                bool drafted = child >= 0 && !_tree[child].WindowOnly && _tree[child].RowId != 0;
                _path.Add(child >= 0 && !_tree[child].WindowOnly ? child : _tree.AddCertain(at, token));
                _decoded.Add(new DecodedToken(token, drafted, step));
                Accepted += drafted ? 1 : 0;
                generated++;
            }

            // 5. Commit.
            Commit();
            double milliseconds = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            Steps.Add(new StepRecord(rows, _decoded.Count, milliseconds, draftMs));
            Costs.Observe(rows, milliseconds, _decoded.Count);
            foreach (DecodedToken token in _decoded)
            {
                yield return token;
            }
        }
    }

    /// <summary>Adds nodes while the best unexpanded ones are worth a row.</summary>
    private void Grow(int tokensLeft)
    {
        int maxRows = Math.Min(_options.MaxRowsPerStep, _session.Middle.MaxRowsPerStep);
        maxRows = Math.Min(maxRows, _session.MaxTokens - _session.CommittedTokens.Count - _session.LiveRows);
        _tree.MaxDepth = tokensLeft - 1;
        double threshold = _options.Threshold ?? Costs.Threshold(Steps.Count == 0 ? 1 : Steps[^1].Rows);
        while (_tree.Count < maxRows)
        {
            int count = 0;
            for (int i = 0; i < _tree.Count && count < _frontier.Length; i++)
            {
                if (!_tree[i].Expanded && !_tree[i].WindowOnly && _tree[i].Depth < _tree.MaxDepth && _tree[i].PathProbability >= threshold)
                {
                    _frontier[count++] = i;
                }
            }

            if (count == 0)
            {
                break;
            }

            int before = _tree.Count;
            _drafter.Expand(_tree, _frontier.AsSpan(0, count), threshold);
            for (int i = 0; i < count; i++)
            {
                _tree[_frontier[i]].Expanded = true;
            }

            if (_tree.Count == before)
            {
                break;
            }
        }
    }

    /// <summary>Fills the step with unsent nodes, parents first; gives each its row id. At most the step's limit, the likeliest first.</summary>
    private int CollectUnsent()
    {
        int maxRows = Math.Min(_options.MaxRowsPerStep, _session.Middle.MaxRowsPerStep);
        double floor = 0;
        if (_tree.Count > maxRows)
        {
            double[] probabilities = new double[_tree.Count];
            for (int i = 0; i < probabilities.Length; i++)
            {
                probabilities[i] = _tree[i].PathProbability;
            }

            Array.Sort(probabilities);
            floor = probabilities[^maxRows];
        }

        int rows = 0;
        ulong nextId = _session.NextRowId;
        for (int i = 0; i < _tree.Count && rows < maxRows; i++)
        {
            ref DraftNode node = ref _tree[i];
            bool parentSent = node.Parent < 0 || _tree[node.Parent].RowId != 0;
            if (node.RowId != 0 || !parentSent || node.PathProbability < floor)
            {
                continue;
            }

            Grow(ref _stepNodes, rows);
            Grow(ref _stepTokens, rows);
            if (_stepParents.Length <= rows)
            {
                Array.Resize(ref _stepParents, 2 * _stepParents.Length);
            }

            _stepNodes[rows] = i;
            _stepTokens[rows] = node.Token;
            _stepParents[rows] = node.Parent < 0 ? _session.LastCommittedId : _tree[node.Parent].RowId;
            node.RowId = nextId + (ulong)rows;
            rows++;
            Proposed += node.Parent < 0 || node.WindowOnly ? 0 : 1;
        }

        return rows;
    }

    private bool IsHere(int node) => _tree[node].RowId != 0 && _session.HasArrived(_tree[node].RowId);

    /// <summary>Runs the tail over a node and the likeliest path below it, where the walk will probably go next.</summary>
    private async ValueTask EvaluateAsync(int node, CancellationToken cancellationToken)
    {
        if (_session.HasLogits(_tree[node].RowId))
        {
            return;
        }

        CollectLikelyPath(node);
        await _session.EvaluateAsync(_rowIds.ToArray(), cancellationToken);
    }

    private void CollectLikelyPath(int node)
    {
        _rowIds.Clear();
        double reach = 1;
        while (node >= 0 && reach > 0.3 && IsHere(node))
        {
            _rowIds.Add(_tree[node].RowId);
            int best = -1;
            for (int child = node + 1; child < _tree.Count; child++)
            {
                if (_tree[child].Parent == node && !_tree[child].WindowOnly && (best < 0 || _tree[child].Probability > _tree[best].Probability))
                {
                    best = child;
                }
            }

            reach *= best < 0 ? 0 : _tree[best].Probability;
            node = best;
        }
    }

    private async ValueTask ObserveAsync(int rows, CancellationToken cancellationToken)
    {
        _rowIds.Clear();
        for (int i = 0; i < rows; i++)
        {
            _rowIds.Add(_tree[_stepNodes[i]].RowId);
        }

        await _session.EvaluateAsync(_rowIds.ToArray(), cancellationToken);
        _drafter.Observe(_tree, _stepNodes.AsSpan(0, rows), node => Sampler.ArgMax(_session.Logits(_tree[node].RowId)));
    }

    /// <summary>The model's token after a node, and what follows from it for the path's history and mask.</summary>
    private int Choose(int node)
    {
        ReadOnlySpan<float> logits = _session.Logits(_tree[node].RowId);
        int position = _session.CommittedTokens.Count + _path.Count; // the root's row is the next position, its successor one more
        int token = _sampler.Choose(logits, _history, position, _masks?.Current);
        _observer?.OnToken(token, logits);
        _history.AddOutput(token);
        _masks?.Advance(token);
        return token;
    }

    private void Commit()
    {
        _rowIds.Clear();
        for (int i = 0; i < _path.Count - 1; i++)
        {
            _rowIds.Add(_tree[_path[i]].RowId);
        }

        _session.Commit(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_rowIds));
        if (_path.Count > 1)
        {
            _drafter.Advance(_tree, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_path));
            _tree.Reroot(_path[^1]);
            _masks?.Reroot();
        }
    }

    private static void Grow(ref int[] array, int index)
    {
        if (array.Length <= index)
        {
            Array.Resize(ref array, 2 * array.Length);
        }
    }
}
