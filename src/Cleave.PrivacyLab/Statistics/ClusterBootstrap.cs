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
        long hits = documents.Sum(static d => (long)d.Hits);
        long total = documents.Sum(static d => (long)d.Total);
        if (total == 0)
        {
            return default;
        }

        var random = new Random(seed);
        var rates = new double[Resamples];
        for (int sample = 0; sample < rates.Length; sample++)
        {
            long drawnHits = 0;
            long drawnTotal = 0;
            for (int i = 0; i < documents.Count; i++)
            {
                DocumentTally drawn = documents[random.Next(documents.Count)];
                drawnHits += drawn.Hits;
                drawnTotal += drawn.Total;
            }

            rates[sample] = drawnTotal == 0 ? 0 : (double)drawnHits / drawnTotal;
        }

        Array.Sort(rates);
        return new RateInterval((double)hits / total, rates[(int)(0.025 * Resamples)], rates[(int)(0.975 * Resamples)]);
    }
}
