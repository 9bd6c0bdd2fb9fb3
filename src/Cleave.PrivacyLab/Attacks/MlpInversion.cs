using Cleave.Compute.Training;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// The paper's attack: a perceptron from activation to token. It can name only tokens its pairs hold, so its output layer has those alone;
/// how many tokens of a text it <see cref="Covers"/> is the ceiling of its recovery there.
/// </summary>
public sealed class MlpInversion : IAttack
{
    // Rows scored at once.
    private const int ScoredRows = 2048;

    private readonly Perceptron _network;
    private readonly int[] _tokens;

    /// <param name="trainer">Where to train.</param>
    /// <param name="pairs">What to learn from.</param>
    /// <param name="hiddenWidths">Hidden layers; the paper's are 2048 and 2048.</param>
    /// <param name="options">Training.</param>
    /// <param name="side">Which activations the pairs hold: those entering with the token sent, or those leaving with the token emitted.</param>
    public MlpInversion(
        IPerceptronTrainer trainer, LabelledPairs pairs, IReadOnlyList<int> hiddenWidths, AdamOptions options, BoundarySide side = BoundarySide.Input)
    {
        Side = side;
        _tokens = [.. pairs.Tokens.Distinct().Order()];
        Dictionary<int, int> classes = _tokens.Index().ToDictionary(static pair => pair.Item, static pair => pair.Index);
        _network = Perceptron.Train(
            trainer, pairs.Activations, pairs.HiddenSize, [.. pairs.Tokens.Select(token => classes[token])], _tokens.Length, hiddenWidths, options);
    }

    /// <inheritdoc />
    public string Name => "mlp";

    /// <inheritdoc />
    public ThreatTier Tier => ThreatTier.T1;

    /// <inheritdoc />
    public BoundarySide Side { get; }

    /// <summary>True when the attack can name this token at all.</summary>
    public bool Covers(int token) => Array.BinarySearch(_tokens, token) >= 0;

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views)
    {
        AttackClaim[] claims = [.. views.Select(static view => new AttackClaim(view.Rows.Length))];
        (AttackClaim Claim, int Row)[] places = [.. claims.SelectMany((claim, i) => Enumerable.Range(0, views[i].Rows.Length).Select(row => (claim, row)))];
        float[] states = [.. views.SelectMany(view => Side == BoundarySide.Input ? view.AllEntering.ToArray() : view.AllLeaving.ToArray())];
        int width = places.Length == 0 ? 0 : states.Length / places.Length;
        for (int start = 0; start < places.Length; start += ScoredRows)
        {
            int count = Math.Min(ScoredRows, places.Length - start);
            float[] scores = _network.Scores(states.AsSpan(start * width, count * width));
            Parallel.For(0, count, i =>
            {
                (AttackClaim claim, int row) = places[start + i];
                Span<int> best = claim.Tokens(row);
                BestFew.Find(scores.AsSpan(i * _tokens.Length, _tokens.Length), best);
                foreach (ref int rank in best)
                {
                    rank = rank < 0 ? -1 : _tokens[rank];
                }
            });
        }

        return claims;
    }
}
