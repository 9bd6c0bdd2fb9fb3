using Cleave.Engine;
using Cleave.PrivacyLab.Capture;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// One session under vocabulary matching. The lane's cache holds, committed, the recovered path to the row before; a row elsewhere in
/// the tree truncates it to the common ancestor and runs the rest of its path again.
/// </summary>
internal sealed class MatchLane : IDisposable
{
    private readonly WorkerView _view;
    private readonly CandidateHead _head;
    private readonly MatchProposals _proposals;
    private readonly MatchOptions _options;
    private readonly KvCache _cache;
    private readonly List<int> _chain = [];
    private readonly List<int> _path = [];
    private readonly List<int> _candidates = [];
    private readonly HashSet<int> _tried = [];
    private readonly float[] _rounded;
    private ulong _nextId = 1;
    private ulong _firstId;
    private int _row;
    private int _stage;
    private int _vocabularyAt;
    private int _nearest = -1;
    private double _nearestDistance = double.PositiveInfinity;

    public MatchLane(WorkerView view, CandidateHead head, MatchProposals proposals, MatchOptions options)
    {
        _view = view;
        _head = head;
        _proposals = proposals;
        _options = options;
        _rounded = new float[view.HiddenSize];
        int deepest = 0;
        foreach (ViewedRow row in view.Rows)
        {
            deepest = Math.Max(deepest, row.Position);
        }

        _cache = head.CreateCache(deepest + 1 + Math.Max(options.VocabularyBatch, options.ProbeFirst + options.LanguageModel + options.ProbeSecond));
        Claim = new AttackClaim(view.Rows.Length);
    }

    public AttackClaim Claim { get; }

    public bool IsDone => _row == _view.Rows.Length;

    /// <summary>Rows claimed so far.</summary>
    public int Claimed => _row;

    /// <summary>Rows settled by probe, language model, vocabulary, and not at all.</summary>
    public long[] Tally { get; } = new long[4];

    /// <summary>Adds this round's rows to the pass and returns how many of them are candidates.</summary>
    public int AddCandidates()
    {
        // 1. The row's path, as far as it is not in the cache.
        ViewedRow row = _view.Rows[_row];
        _path.Clear();
        for (int at = row.Parent; at >= 0 && !OnChain(at); at = _view.Rows[at].Parent)
        {
            _path.Add(at);
        }

        _path.Reverse();
        int common = row.Position - _path.Count;
        if (common < _chain.Count)
        {
            _cache.Truncate(common);
            _chain.RemoveRange(common, _chain.Count - common);
        }

        // 2. Candidates not tried yet.
        _candidates.Clear();
        while (_candidates.Count == 0 && _vocabularyAt < _head.VocabularySize)
        {
            Propose(row.Parent);
        }

        // 3. Path, then candidates as siblings.
        var rows = new TreeRow[_path.Count + _candidates.Count];
        var tokens = new int[rows.Length];
        _firstId = _nextId;
        ulong parent = _cache.LastCommittedId;
        for (int i = 0; i < rows.Length; i++)
        {
            bool onPath = i < _path.Count;
            rows[i] = new TreeRow(_nextId, parent);
            tokens[i] = onPath ? Claim.Tokens(_path[i])[0] : _candidates[i - _path.Count];
            parent = onPath ? _nextId : parent;
            _nextId++;
        }

        _head.Add(_cache, rows, tokens);
        return _candidates.Count;
    }

    /// <summary>Reads this lane's rows of the pass from <paramref name="offset"/> (in rows) and returns where the next lane's begin.</summary>
    public int Judge(ReadOnlySpan<float> hidden, int offset)
    {
        int width = _view.HiddenSize;
        int first = offset + _path.Count;
        int matched = -1;
        for (int i = 0; i < _candidates.Count && matched < 0; i++)
        {
            WireRounding.Apply(_view.Wire, hidden.Slice((first + i) * width, width), width, _rounded);
            double distance = Distance(_rounded, _view.Entering(_row));
            if (distance < _nearestDistance)
            {
                _nearestDistance = distance;
                _nearest = _candidates[i];
            }

            matched = _options.Exact && distance == 0 ? i : -1;
        }

        // The path is certain, whatever became of the candidates.
        KeepPath();
        bool exhausted = _vocabularyAt == _head.VocabularySize;
        if (matched >= 0)
        {
            Tally[Math.Min(_stage - 1, 3) switch { 0 or 2 => 0, 1 => 1, _ => 2 }]++;
            Claim.Claim(_row, _candidates[matched]);
            _cache.Keep([_firstId + (ulong)(_path.Count + matched)]);
            _chain.Add(_row);
            Next();
        }
        else if (exhausted || (!_options.Exact && _stage >= 3 && _proposals.ProbeRanks > 0))
        {
            // Nothing equals what was seen: the nearest is the best guess. Its row is run again as part of the next one's path.
            Tally[3]++;
            Claim.Claim(_row, _nearest);
            _cache.Truncate(_chain.Count);
            Next();
        }
        else
        {
            _cache.Truncate(_chain.Count);
        }

        return first + _candidates.Count;
    }

    public void Dispose() => _cache.Dispose();

    private bool OnChain(int row) => _view.Rows[row].Position < _chain.Count && _chain[_view.Rows[row].Position] == row;

    private void Propose(int parent)
    {
        switch (_stage++)
        {
            case 0:
                if (parent < 0 && _options.FirstToken is { } first)
                {
                    _candidates.Add(first);
                }

                _proposals.AddProbe(_row, 0, _options.ProbeFirst, _candidates);
                break;
            case 1:
                _proposals.AddSuccessors(parent, _candidates);
                break;
            case 2:
                _proposals.AddProbe(_row, _options.ProbeFirst, _options.ProbeSecond, _candidates);
                break;
            default:
                for (; _candidates.Count < _options.VocabularyBatch && _vocabularyAt < _head.VocabularySize; _vocabularyAt++)
                {
                    if (!_tried.Contains(_vocabularyAt))
                    {
                        _candidates.Add(_vocabularyAt);
                    }
                }

                break;
        }

        _candidates.RemoveAll(token => token < 0 || !_tried.Add(token));
    }

    private void KeepPath()
    {
        if (_path.Count > 0)
        {
            var ids = new ulong[_path.Count];
            for (int i = 0; i < ids.Length; i++)
            {
                ids[i] = _firstId + (ulong)i;
            }

            _cache.Keep(ids);
            _chain.AddRange(_path);
        }
    }

    private void Next()
    {
        _row++;
        _stage = 0;
        _vocabularyAt = 0;
        _nearest = -1;
        _nearestDistance = double.PositiveInfinity;
        _tried.Clear();
    }

    private static double Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double d = (double)a[i] - b[i];
            sum += d * d;
        }

        return sum;
    }
}
