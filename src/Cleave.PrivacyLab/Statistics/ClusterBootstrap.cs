namespace Cleave.PrivacyLab.Statistics;

/// <summary>
/// Interval of a share over rows when rows of a document are not independent: whole documents are drawn again, with replacement, and the
/// 2.5 and 97.5 percentiles of the shares taken.
/// </summary>
public static class ClusterBootstrap
{
    private const int Resamples = 2000;

    /// <summary>The share of hits, all documents together.</summary>
    public static RateInterval Rate(IReadOnlyList<DocumentTally> documents, int seed = 1)
    {
        return Ratio([.. documents.Select(static d => ((double)d.Hits, (double)d.Total))], seed);
    }

    /// <summary>One sum over another, whole documents drawn again: losses by tokens, tokens by seconds.</summary>
    public static RateInterval Ratio(IReadOnlyList<(double Sum, double Of)> documents, int seed = 1)
    {
        double sum = documents.Sum(static d => d.Sum);
        double of = documents.Sum(static d => d.Of);
        if (of == 0)
        {
            return default;
        }

        var random = new Random(seed);
        var rates = new double[Resamples];
        for (int sample = 0; sample < rates.Length; sample++)
        {
            double drawnSum = 0;
            double drawnOf = 0;
            for (int i = 0; i < documents.Count; i++)
            {
                (double Sum, double Of) drawn = documents[random.Next(documents.Count)];
                drawnSum += drawn.Sum;
                drawnOf += drawn.Of;
            }

            rates[sample] = drawnOf == 0 ? 0 : drawnSum / drawnOf;
        }

        Array.Sort(rates);
        return new RateInterval(sum / of, rates[(int)(0.025 * Resamples)], rates[(int)(0.975 * Resamples)]);
    }
}
