using System.Diagnostics;
using Cleave.PrivacyLab.Capture;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Exact inversion (SIPIT, Nikolaou et al. 2025, arXiv 2510.15511; vocabulary matching, arXiv 2505.18332): for each row, with the tokens
/// before it known, run candidate tokens through the public head and take the one whose state is the one seen. For a row:
/// <list type="number">
/// <item>bring the attacker's cache to the row's path (<see cref="MatchLane"/>);</item>
/// <item>try the probe's best guesses, then the language model's, then more of the probe's;</item>
/// <item>try the rest of the vocabulary;</item>
/// <item>commit what matched and go on to the next row.</item>
/// </list>
/// Many sessions advance side by side, so that their candidates share a pass.
/// </summary>
public sealed class VocabularyMatching : IAttack
{
    private readonly CandidateHead _head;
    private readonly ITokenProposer? _probe;
    private readonly TailReplay? _languageModel;
    private readonly MatchOptions _options;

    /// <param name="head">The attacker's copy of the head.</param>
    /// <param name="probe">Proposes tokens from a row's own state; null to do without.</param>
    /// <param name="languageModel">Proposes tokens from what the worker returned for the parent; null to do without.</param>
    /// <param name="options">How to match.</param>
    public VocabularyMatching(CandidateHead head, ITokenProposer? probe, TailReplay? languageModel, MatchOptions? options = null)
    {
        _head = head;
        _probe = probe;
        _languageModel = languageModel;
        _options = options ?? new MatchOptions();
    }

    /// <inheritdoc />
    public string Name => _options.Exact ? "vocabulary-matching" : "nearest-state";

    /// <inheritdoc />
    public ThreatTier Tier => _options.Exact ? ThreatTier.T3 : ThreatTier.T2;

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Input;

    /// <summary>What the last call took.</summary>
    public MatchCost? Cost { get; private set; }

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views)
    {
        long started = Stopwatch.GetTimestamp();
        TimeSpan cpuBefore = Environment.CpuUsage.TotalTime;
        var claims = new AttackClaim[views.Count];
        var waiting = new Queue<int>(Enumerable.Range(0, views.Count));
        var lanes = new List<MatchLane>();
        var tally = new long[4];
        long rows = 0;
        long candidates = 0;
        while (waiting.Count > 0 || lanes.Count > 0)
        {
            while (lanes.Count < _options.Lanes && waiting.TryDequeue(out int next))
            {
                lanes.Add(new MatchLane(views[next], _head, Proposals(views[next]), _options));
                claims[next] = lanes[^1].Claim;
            }

            _head.Begin();
            foreach (MatchLane lane in lanes)
            {
                candidates += lane.AddCandidates();
            }

            float[] hidden = _head.Run();
            int offset = 0;
            foreach (MatchLane lane in lanes)
            {
                offset = lane.Judge(hidden, offset);
            }

            foreach (MatchLane lane in lanes.Where(static lane => lane.IsDone).ToArray())
            {
                rows += lane.Claimed;
                for (int i = 0; i < tally.Length; i++)
                {
                    tally[i] += lane.Tally[i];
                }

                lane.Dispose();
                lanes.Remove(lane);
            }
        }

        Cost = new MatchCost(
            rows, candidates, tally[0], tally[1], tally[2], tally[3], Stopwatch.GetElapsedTime(started).TotalSeconds,
            (Environment.CpuUsage.TotalTime - cpuBefore).TotalSeconds);
        return claims;
    }

    private MatchProposals Proposals(WorkerView view)
    {
        int probes = _options.ProbeFirst + _options.ProbeSecond;
        return new MatchProposals(
            _probe?.Propose(view.AllEntering, probes) ?? [], _probe is null ? 0 : probes,
            _languageModel?.Successors(view, _options.LanguageModel) ?? [], _languageModel is null ? 0 : _options.LanguageModel);
    }
}
