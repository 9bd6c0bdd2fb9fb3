namespace Cleave.Inference.Decoding;

/// <summary>
/// Turns what drafters claim into the probability that the model agrees, learned online from every verdict. Two steps:
/// <list type="number">
/// <item>combine: log-odds of a draft model and of lookup add up (weights measured on the bundled pair, docs/decisions);</item>
/// <item>calibrate: the combined odds fall into bins; each bin's odds are shifted to what was seen in it, smoothed by a Beta
/// prior centred on the claim, so that an unseen bin believes the drafter.</item>
/// </list>
/// Kept across the generations of a session.
/// </summary>
public sealed class AcceptanceModel
{
    private const int Bins = 24;
    private const double BinWidth = 0.5;
    private const double PriorWeight = 24;
    private const double MaxCount = 400;
    private const int RankClasses = 4;

    private static readonly int Evidences = Enum.GetValues<Evidence>().Length;
    private static readonly int Sources = Enum.GetValues<DraftSource>().Length;
    private readonly Bin[] _bins = new Bin[Evidences * Bins];
    private readonly Bin[] _ranks = new Bin[Sources * RankClasses];

    private enum Evidence
    {
        Lookup,
        Model,
        Both,
    }

    /// <summary>Estimated probability of a node given that its parent is right.</summary>
    public double Estimate(in DraftNode node, in DraftNode parent)
    {
        double odds = CombinedOdds(node, parent);
        return Probability(odds + Shift(_bins[BinOf(EvidenceOf(node, parent), odds)]));
    }

    /// <summary>Learns whether a child of a node on the verdict's path was the right token.</summary>
    public void Observe(in DraftNode node, in DraftNode parent, bool accepted)
    {
        if (node.Source == DraftSource.Certain || node.WindowOnly)
        {
            return;
        }

        double odds = CombinedOdds(node, parent);
        double claim = Probability(odds);
        _bins[BinOf(EvidenceOf(node, parent), odds)].Add(claim, accepted, MaxCount);
        _ranks[((int)node.Source * RankClasses) + Math.Min((int)node.Rank, RankClasses - 1)].Add(node.Probability, accepted, double.MaxValue);
    }

    /// <summary>What was proposed and accepted so far, by drafter and rank.</summary>
    public IReadOnlyList<AcceptanceRate> Report()
    {
        var rates = new List<AcceptanceRate>();
        for (int source = 0; source < Sources; source++)
        {
            for (int rank = 0; rank < RankClasses; rank++)
            {
                Bin bin = _ranks[(source * RankClasses) + rank];
                if (bin.Count > 0)
                {
                    rates.Add(new AcceptanceRate((DraftSource)source, rank, (long)bin.Count, (long)bin.Hits, bin.Claimed / bin.Count));
                }
            }
        }

        return rates;
    }

    /// <summary>
    /// Log-odds of the token from what was claimed. With both asked they add (a logistic regression on 56 000 candidates of 40
    /// texts: held apart by kind its bins are within two points); a token that lookup passes over, having others to propose, loses.
    /// </summary>
    private static double CombinedOdds(in DraftNode node, in DraftNode parent)
    {
        if (!parent.ModelAsked)
        {
            return Odds(node.LookupClaim);
        }

        double model = Odds(Math.Clamp(node.ModelClaim, 0.003, 0.998));
        if (node.LookupClaim > 0)
        {
            return 0.98 + (0.78 * model) + (0.74 * Odds(Math.Clamp(node.LookupClaim, 0.01, 0.995)));
        }

        double mass = Math.Min(parent.LookupMass, 1);
        return mass > 0.01 ? -0.55 + (0.78 * model) + (0.5 * mass) - (2.6 * mass * mass * mass) : model;
    }

    private static Evidence EvidenceOf(in DraftNode node, in DraftNode parent) =>
        !parent.ModelAsked ? Evidence.Lookup : node.LookupClaim > 0 ? Evidence.Both : Evidence.Model;

    private static int BinOf(Evidence evidence, double odds) =>
        ((int)evidence * Bins) + Math.Clamp((int)Math.Floor(odds / BinWidth) + (Bins / 2), 0, Bins - 1);

    /// <summary>How far a bin's odds are from what was claimed in it.</summary>
    private static double Shift(in Bin bin)
    {
        if (bin.Count == 0)
        {
            return 0;
        }

        double claimed = bin.Claimed / bin.Count;
        double seen = (bin.Hits + (PriorWeight * claimed)) / (bin.Count + PriorWeight);
        return Odds(seen) - Odds(claimed);
    }

    private static double Odds(double probability)
    {
        double clamped = Math.Clamp(probability, 1e-5, 1 - 1e-5);
        return Math.Log(clamped / (1 - clamped));
    }

    private static double Probability(double odds) => 1 / (1 + Math.Exp(-odds));

    private struct Bin
    {
        public double Count;
        public double Hits;
        public double Claimed;

        public void Add(double claim, bool hit, double maxCount)
        {
            Count++;
            Hits += hit ? 1 : 0;
            Claimed += claim;
            if (Count > maxCount)
            {
                (Count, Hits, Claimed) = (Count / 2, Hits / 2, Claimed / 2);
            }
        }
    }
}
