using Cleave.Compute.Training;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// A linear map from activations onto the public embedding, learned from pairs; the nearest embedding names the token, also one that no
/// pair held. The ridge is chosen on a tenth of the pairs.
/// </summary>
public sealed class RidgeInversion : IAttack, ITokenProposer
{
    private static readonly double[] Ridges = [1e-5, 1e-3, 1e-1];

    private readonly MatrixProduct _product;
    private readonly EmbeddingTable _embeddings;
    private readonly DenseLayer _map;

    /// <param name="product">Where to multiply.</param>
    /// <param name="embeddings">The public embedding.</param>
    /// <param name="pairs">What to learn from.</param>
    /// <param name="side">Which activations the pairs hold: those entering with the token sent, or those leaving with the token emitted.</param>
    public RidgeInversion(MatrixProduct product, EmbeddingTable embeddings, LabelledPairs pairs, BoundarySide side = BoundarySide.Input)
    {
        Side = side;
        _product = product;
        _embeddings = embeddings;
        int heldOut = Math.Min(pairs.Count / 10, 2000);
        LabelledPairs fit = pairs.Take(pairs.Count - heldOut);
        var regression = new RidgeRegression(product, fit.Activations, fit.HiddenSize, Targets(fit), embeddings.Width);
        _map = Ridges.Select(regression.Solve).MaxBy(map => heldOut == 0 ? 0 : Hits(map, pairs, pairs.Count - heldOut))!;
    }

    /// <inheritdoc />
    public string Name => "ridge";

    /// <inheritdoc />
    public ThreatTier Tier => ThreatTier.T2;

    /// <inheritdoc />
    public BoundarySide Side { get; }

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views) => [.. views.Select(Recover)];

    /// <inheritdoc />
    public int[] Propose(ReadOnlySpan<float> activations, int ranks)
    {
        var predicted = new float[activations.Length / _map.Weight.Columns * _embeddings.Width];
        _product.Apply(_map, activations, predicted);
        var best = new int[predicted.Length / _embeddings.Width * ranks];
        _embeddings.Score(predicted, (row, scores) => BestFew.Find(scores, best.AsSpan(row * ranks, ranks)));
        return best;
    }

    private AttackClaim Recover(WorkerView view)
    {
        int rows = view.Rows.Length;
        var claim = new AttackClaim(rows);
        int[] best = Propose(Side == BoundarySide.Input ? view.AllEntering : view.AllLeaving, AttackClaim.Ranks);
        for (int row = 0; row < rows; row++)
        {
            best.AsSpan(row * AttackClaim.Ranks, AttackClaim.Ranks).CopyTo(claim.Tokens(row));
        }

        return claim;
    }

    private int Hits(DenseLayer map, LabelledPairs pairs, int start)
    {
        var predicted = new float[(pairs.Count - start) * _embeddings.Width];
        _product.Apply(map, pairs.Activations.AsSpan(start * pairs.HiddenSize), predicted);
        int hits = 0;
        _embeddings.Score(predicted, (row, scores) =>
        {
            Span<int> best = stackalloc int[1];
            BestFew.Find(scores, best);
            hits += best[0] == pairs.Tokens[start + row] ? 1 : 0;
        });
        return hits;
    }

    private float[] Targets(LabelledPairs pairs)
    {
        var targets = new float[pairs.Count * _embeddings.Width];
        for (int i = 0; i < pairs.Count; i++)
        {
            _embeddings.Of(pairs.Tokens[i]).CopyTo(targets.AsSpan(i * _embeddings.Width));
        }

        return targets;
    }
}
