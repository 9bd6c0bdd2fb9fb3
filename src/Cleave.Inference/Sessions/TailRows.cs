using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Sessions;

/// <summary>
/// The tail's side of one session: hidden states that came back from the worker, run through the tail only when they are
/// asked for. The verdict walk visits one path of the tree, so rows off that path never cost a tail pass.
/// Rows may be run in any order; the tail's cache numbers them itself.
/// </summary>
internal sealed class TailRows(LocalTail tail, KvCache cache, int hiddenSize) : IDisposable
{
    private readonly Dictionary<ulong, Row> _rows = [];
    private readonly Stack<Row> _spare = [];
    private readonly List<Row> _batch = [];
    private readonly List<ulong> _order = [];
    private TreeRow[] _treeRows = [];
    private int[] _wanted = [];
    private float[] _hidden = [];
    private float[] _results = [];
    private ulong[] _keep = [];
    private ulong _nextTailId = 1;
    private ulong _lastCommittedTailId;
    private ulong _lastCommittedId;

    /// <summary>Rows whose layers have run.</summary>
    public KvCache Cache => cache;

    /// <summary>Id of the last committed row, 0 when none.</summary>
    public ulong LastCommittedId => _lastCommittedId;

    /// <summary>True when the row's hidden state is here.</summary>
    public bool Has(ulong id) => _rows.ContainsKey(id);

    /// <summary>Stores a row's hidden state; ignored when its parent is dead.</summary>
    public void Add(ulong id, ulong parentId, ReadOnlySpan<float> hidden)
    {
        if (parentId != _lastCommittedId && !_rows.ContainsKey(parentId))
        {
            return;
        }

        Row row = _spare.TryPop(out Row? spare) ? spare : new Row(new float[hiddenSize]);
        row.Id = id;
        row.ParentId = parentId;
        row.TailId = 0;
        row.HasLogits = false;
        row.Summary = null;
        hidden.CopyTo(row.Hidden);
        _rows.Add(id, row);
    }

    /// <summary>
    /// Asks for the tail over <paramref name="ids"/> and whatever ancestors of theirs it has not seen, in one pass, and for the logits of
    /// <paramref name="ids"/> when <paramref name="wantLogits"/>: whole rows, or in short when <paramref name="tops"/> asks so. Null when there
    /// is nothing to run; else <see cref="Evaluated"/> or <see cref="Forgo"/> must follow.
    /// </summary>
    public TailJob? Evaluate(ReadOnlySpan<ulong> ids, bool wantLogits, TopRows? tops, TimeProvider clock)
    {
        // 1. The rows to run, parents before children.
        _batch.Clear();
        foreach (ulong id in ids)
        {
            int start = _batch.Count;
            for (Row? row = _rows[id]; row is not null && row.TailId == 0 && !_batch.Contains(row); row = _rows.GetValueOrDefault(row.ParentId))
            {
                _batch.Add(row);
            }

            _batch.Reverse(start, _batch.Count - start);
        }

        if (_batch.Count == 0)
        {
            return null;
        }

        // 2. Gather them.
        DeviceBuffers.Ensure(ref _treeRows, _batch.Count);
        DeviceBuffers.Ensure(ref _wanted, _batch.Count);
        DeviceBuffers.Ensure(ref _hidden, _batch.Count * hiddenSize);
        int wanted = 0;
        for (int i = 0; i < _batch.Count; i++)
        {
            Row row = _batch[i];
            row.TailId = _nextTailId++;
            ulong parent = row.ParentId == _lastCommittedId ? _lastCommittedTailId : _rows[row.ParentId].TailId;
            _treeRows[i] = new TreeRow(row.TailId, parent);
            row.Hidden.CopyTo(_hidden, i * hiddenSize);
            if (wantLogits && ids.Contains(row.Id))
            {
                _wanted[wanted++] = i;
            }
        }

        int results = wanted * (tops is null ? tail.VocabularySize : hiddenSize);
        DeviceBuffers.Ensure(ref _results, results);
        return new TailJob
        {
            Clock = clock,
            Cache = cache,
            Rows = _treeRows.AsMemory(0, _batch.Count),
            Hidden = _hidden.AsMemory(0, _batch.Count * hiddenSize),
            Wanted = _wanted.AsMemory(0, wanted),
            Asked = tops,
            Result = _results.AsMemory(0, results),
        };
    }

    /// <summary>Keeps what a pass gave.</summary>
    public void Evaluated(TailJob job)
    {
        ReadOnlySpan<int> wanted = job.Wanted.Span;
        ReadOnlySpan<float> results = job.Result.Span;
        int width = job.Asked is null ? tail.VocabularySize : hiddenSize;
        for (int i = 0; i < wanted.Length; i++)
        {
            Row row = _batch[wanted[i]];
            float[] kept = job.Asked is null ? row.Logits ??= new float[width] : row.Normed ??= new float[width];
            results.Slice(i * width, width).CopyTo(kept);
            if (job.Asked is null)
            {
                row.HasLogits = true;
            }
            else
            {
                row.Summary = new LogitSummary(job.Tops!, job.FirstTop + i);
            }
        }
    }

    /// <summary>Takes back a job that was not run.</summary>
    public void Forgo()
    {
        foreach (Row row in _batch)
        {
            row.TailId = 0;
        }
    }

    /// <summary>True when the row was evaluated, whole or in short.</summary>
    public bool HasVerdict(ulong id) => _rows.TryGetValue(id, out Row? row) && (row.HasLogits || row.Summary is not null);

    /// <summary>The row in short, or null when it was evaluated whole.</summary>
    public LogitSummary? Summary(ulong id) => _rows[id].Summary;

    /// <summary>True when <see cref="Logits"/> may be called for the row.</summary>
    public bool HasLogits(ulong id) => _rows.TryGetValue(id, out Row? row) && row.HasLogits;

    /// <summary>Makes the whole row of one evaluated in short.</summary>
    public void Complete(ulong id)
    {
        Row row = _rows[id];
        if (!row.HasLogits && row.Summary is not null)
        {
            row.Logits ??= new float[tail.VocabularySize];
            tail.LogitsOf(row.Normed, row.Logits);
            row.HasLogits = true;
            RowsCompleted++;
        }
    }

    /// <summary>Rows evaluated in short of which the whole was needed after all.</summary>
    public long RowsCompleted { get; private set; }

    /// <summary>[vocabulary] of an evaluated row; valid until the row dies or is committed and the next row arrives.</summary>
    public ReadOnlySpan<float> Logits(ulong id) => _rows[id] is { HasLogits: true } row
        ? row.Logits
        : throw new InvalidOperationException("the row was not evaluated with logits");

    /// <summary>Commits a chain of evaluated rows and forgets every row that does not descend from its last.</summary>
    public void Commit(ReadOnlySpan<ulong> ids)
    {
        if (ids.IsEmpty)
        {
            return;
        }

        DeviceBuffers.Ensure(ref _keep, ids.Length);
        for (int i = 0; i < ids.Length; i++)
        {
            _keep[i] = _rows[ids[i]].TailId;
        }

        CacheOutcome outcome = cache.Keep(_keep.AsSpan(0, ids.Length));
        if (!outcome.Succeeded)
        {
            throw InferenceException.For(outcome, cache, 0);
        }

        _lastCommittedTailId = _keep[ids.Length - 1];
        _lastCommittedId = ids[^1];
        ForgetAllBut(_lastCommittedId);
    }

    /// <summary>Keeps the first <paramref name="length"/> committed rows; <paramref name="lastId"/> is the id of the last of them.</summary>
    public void Truncate(int length, ulong lastId)
    {
        cache.Truncate(length);
        foreach (Row row in _rows.Values)
        {
            _spare.Push(row);
        }

        _rows.Clear();
        _lastCommittedId = lastId;
        _lastCommittedTailId = cache.LastCommittedId;
    }

    public void Dispose() => cache.Dispose();

    private void ForgetAllBut(ulong ancestor)
    {
        // Parents have lower ids, so a dead parent is already gone from the dictionary when its child is looked at.
        _order.Clear();
        _order.AddRange(_rows.Keys);
        _order.Sort();
        foreach (ulong id in _order)
        {
            ulong parentId = _rows[id].ParentId;
            if (id <= ancestor || (parentId != ancestor && !_rows.ContainsKey(parentId)))
            {
                _rows.Remove(id, out Row? row);
                _spare.Push(row!);
            }
        }
    }

    private sealed class Row(float[] hidden)
    {
        public ulong Id { get; set; }

        public ulong ParentId { get; set; }

        public ulong TailId { get; set; }

        public bool HasLogits { get; set; }

        public float[] Hidden { get; } = hidden;

        public float[]? Logits { get; set; }

        public float[]? Normed { get; set; }

        public LogitSummary? Summary { get; set; }
    }
}
