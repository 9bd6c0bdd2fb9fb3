using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Anchors from a shuffled vocabulary: every token sent a few times in random order gives each a mean state and all a covariance in common;
/// a state seen goes to the nearest anchor under it. Optionally a beam search weighs that against what a language model expects.
/// </summary>
public sealed class AnchorInversion : IAttack, ITokenProposer
{
    private readonly GaussianClasses _anchors;
    private readonly int[] _tokens;
    private readonly BeamSearch? _beam;

    /// <param name="product">Where to multiply.</param>
    /// <param name="pairs">Pairs to make anchors of.</param>
    /// <param name="languageModel">The public model as a prior; null ranks each row by itself.</param>
    /// <param name="beamWidth">Hypotheses kept.</param>
    public AnchorInversion(MatrixProduct product, LabelledPairs pairs, LanguageModelPrior? languageModel = null, int beamWidth = 8)
    {
        _tokens = [.. pairs.Tokens.Distinct().Order()];
        Dictionary<int, int> classes = _tokens.Index().ToDictionary(static pair => pair.Item, static pair => pair.Index);
        _anchors = new GaussianClasses(
            product, pairs.Activations, pairs.HiddenSize, [.. pairs.Tokens.Select(token => classes[token])], _tokens.Length);
        _beam = languageModel is null ? null : new BeamSearch(languageModel, beamWidth);
    }

    /// <inheritdoc />
    public string Name => _beam is null ? "anchors" : "anchors-beam";

    /// <inheritdoc />
    public ThreatTier Tier => _beam is null ? ThreatTier.T1 : ThreatTier.T2;

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Input;

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views) => [.. views.Select(Recover)];

    /// <inheritdoc />
    public int[] Propose(ReadOnlySpan<float> activations, int ranks) => Rank(activations, ranks).Best;

    private AttackClaim Recover(WorkerView view)
    {
        int ranks = _beam is null ? AttackClaim.Ranks : BeamSearch.Candidates;
        int rows = view.Rows.Length;
        (int[] best, float[] scores) = Rank(view.AllEntering, ranks);
        if (_beam is not null)
        {
            return _beam.Run(view, best, scores);
        }

        var claim = new AttackClaim(rows);
        for (int row = 0; row < rows; row++)
        {
            best.AsSpan(row * ranks, ranks).CopyTo(claim.Tokens(row));
        }

        return claim;
    }

    private (int[] Best, float[] Scores) Rank(ReadOnlySpan<float> activations, int ranks)
    {
        int rows = activations.Length / _anchors.Inputs;
        var best = new int[rows * ranks];
        var scores = new float[rows * ranks];
        Array.Fill(scores, float.NegativeInfinity);
        _anchors.Score(activations, (row, all) =>
        {
            Span<int> chosen = best.AsSpan(row * ranks, ranks);
            BestFew.Find(all, chosen);
            for (int rank = 0; rank < ranks; rank++)
            {
                if (chosen[rank] >= 0)
                {
                    scores[(row * ranks) + rank] = all[chosen[rank]];
                    chosen[rank] = _tokens[chosen[rank]];
                }
            }
        });
        return (best, scores);
    }
}
