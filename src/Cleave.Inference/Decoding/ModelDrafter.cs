using System.Runtime.InteropServices;
using Cleave.Engine;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>
/// Drafts with a small model: a tree grown level by level, one forward pass for all nodes asked for at once
/// (Leviathan et al. 2023, arXiv 2211.17192; trees: Miao et al. 2024, arXiv 2305.09781). Its cache holds a row for every node
/// that was asked for its children; a verdict keeps the rows of the path, so nothing is computed twice.
/// </summary>
public sealed class ModelDrafter : IDrafter
{
    private const int CatchUpRows = 64;

    private readonly DraftModel _model;
    private readonly KvCache _cache;
    private readonly List<int> _tokens = [];
    private readonly Dictionary<ulong, ulong> _rows = [];
    private readonly List<ulong> _dead = [];
    private readonly List<TreeRow> _batch = [];
    private readonly List<int> _batchTokens = [];
    private readonly List<int> _batchNodes = [];
    private readonly List<int> _wanted = [];
    private readonly CandidateRow _candidates = new();
    private SamplingOptions _sampling = new();
    private TokenHistory _history = new();
    private float[] _logits = [];
    private ulong[] _keep = [];
    private ulong _nextRow = 1;

    /// <param name="model">Shared; stays its owner's.</param>
    /// <param name="maxTokens">Most rows, certain and drafted, the drafter's cache may hold.</param>
    public ModelDrafter(DraftModel model, int maxTokens = 8192)
    {
        _model = model;
        _cache = model.CreateCache(maxTokens);
    }

    /// <inheritdoc />
    public string Name => "draft";

    /// <inheritdoc />
    public bool IsCostly => true;

    /// <inheritdoc />
    public void UseSampling(SamplingOptions sampling) => _sampling = sampling;

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        // What the cache holds of the same beginning stays.
        int common = CollectionsMarshal.AsSpan(_tokens).CommonPrefixLength(tokens);
        _cache.Truncate(Math.Min(_cache.CommittedLength, Math.Min(common, tokens.Length - 1)));
        _rows.Clear();
        _tokens.Clear();
        _tokens.AddRange(tokens);
        _history = new TokenHistory();
        _history.AddPrompt(tokens);
        while (_cache.CommittedLength < _tokens.Count - 1 && CatchUp(CatchUpRows))
        {
        }
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        // 1. Certain tokens not yet in the cache, then the nodes with whatever ancestors of theirs it lacks.
        while (_cache.CommittedLength < _tokens.Count - 1 && CatchUp(CatchUpRows))
        {
        }

        if (_cache.CommittedLength < _tokens.Count - 1)
        {
            return; // the draft model's context or memory ends here
        }

        _batch.Clear();
        _batchTokens.Clear();
        _batchNodes.Clear();
        foreach (int node in nodes)
        {
            AddRow(tree, node);
        }

        if (_batch.Count == 0)
        {
            return;
        }

        // 2. One forward pass.
        CollectionsMarshal.SetCount(_wanted, _batch.Count);
        for (int i = 0; i < _batch.Count; i++)
        {
            _wanted[i] = i;
        }

        int vocabulary = _model.Config.VocabularySize;
        if (_logits.Length < _batch.Count * vocabulary)
        {
            _logits = new float[_batch.Count * vocabulary];
        }

        if (!_model.TryRun(
                _cache, CollectionsMarshal.AsSpan(_batch), CollectionsMarshal.AsSpan(_batchTokens), CollectionsMarshal.AsSpan(_wanted),
                _logits.AsSpan(0, _batch.Count * vocabulary)))
        {
            foreach (int node in _batchNodes)
            {
                _rows.Remove(tree[node].Serial);
            }

            return;
        }

        // 3. Children.
        for (int i = 0; i < _batchNodes.Count; i++)
        {
            Propose(tree, _batchNodes[i], _logits.AsSpan(i * vocabulary, vocabulary), threshold);
        }
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        // The path's rows are committed as far as the cache has them; the new root's own row stays a live one.
        if (_keep.Length < path.Length)
        {
            _keep = new ulong[2 * path.Length];
        }

        int kept = 0;
        while (kept < path.Length - 1 && _rows.TryGetValue(tree[path[kept]].Serial, out ulong row))
        {
            _keep[kept++] = row;
        }

        _cache.Keep(_keep.AsSpan(0, kept));
        foreach (int node in path[1..])
        {
            _tokens.Add(tree[node].Token);
            _history.AddOutput(tree[node].Token);
        }

        if (kept == 0)
        {
            return; // nothing was drafted here
        }

        _dead.Clear();
        foreach ((ulong serial, ulong id) in _rows)
        {
            if (!_cache.IsLive(id))
            {
                _dead.Add(serial);
            }
        }

        foreach (ulong serial in _dead)
        {
            _rows.Remove(serial);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _cache.Dispose();

    /// <summary>Commits up to <paramref name="limit"/> certain tokens before the root; false when there is no room for them.</summary>
    private bool CatchUp(int limit)
    {
        int start = _cache.CommittedLength;
        int count = Math.Min(limit, _tokens.Count - 1 - start);
        _batch.Clear();
        ulong parent = _cache.LastCommittedId;
        for (int i = 0; i < count; i++)
        {
            _batch.Add(new TreeRow(_nextRow, parent));
            parent = _nextRow++;
        }

        if (!_model.TryRun(_cache, CollectionsMarshal.AsSpan(_batch), CollectionsMarshal.AsSpan(_tokens).Slice(start, count), default, default))
        {
            return false;
        }

        if (_keep.Length < count)
        {
            _keep = new ulong[count];
        }

        for (int i = 0; i < count; i++)
        {
            _keep[i] = _batch[i].Id;
        }

        return _cache.Keep(_keep.AsSpan(0, count)).Succeeded;
    }

    /// <summary>Adds a node to the batch, its missing ancestors first. They are asked for their children as well: their rows are run anyway.</summary>
    private void AddRow(DraftTree tree, int node)
    {
        if (_rows.ContainsKey(tree[node].Serial))
        {
            return;
        }

        int parent = tree[node].Parent;
        if (parent >= 0)
        {
            AddRow(tree, parent);
        }

        _batch.Add(new TreeRow(_nextRow, parent < 0 ? _cache.LastCommittedId : _rows[tree[parent].Serial]));
        _batchTokens.Add(tree[node].Token);
        _batchNodes.Add(node);
        _rows[tree[node].Serial] = _nextRow++;
    }

    private void Propose(DraftTree tree, int node, ReadOnlySpan<float> logits, double threshold)
    {
        double floor = Math.Clamp(0.5 * threshold / tree[node].PathProbability, 0.002, 0.5);
        _candidates.Read(logits, _sampling, _history, _tokens.Count + tree[node].Depth, floor);
        tree[node].ModelAsked = true;
        int rank = 0;
        foreach ((int token, double claim) in _candidates.Claims)
        {
            tree.Add(node, token, claim, threshold, DraftSource.Model, rank++);
        }
    }
}
