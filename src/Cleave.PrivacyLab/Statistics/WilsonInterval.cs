namespace Cleave.PrivacyLab.Statistics;

/// <summary>Interval of a share of independent cases (Wilson 1927), sound near 0 and 1 too.</summary>
public static class WilsonInterval
{
    private const double Z = 1.959963984540054;

    /// <summary>The share <paramref name="hits"/> of <paramref name="total"/>.</summary>
    public static RateInterval Rate(long hits, long total)
    {
        if (total == 0)
        {
            return default;
        }

        double p = (double)hits / total;
        double denominator = 1 + (Z * Z / total);
        double centre = (p + (Z * Z / (2 * total))) / denominator;
        double half = Z / denominator * Math.Sqrt((p * (1 - p) / total) + (Z * Z / (4.0 * total * total)));
        return new RateInterval(p, hits == 0 ? 0 : centre - half, hits == total ? 1 : centre + half);
    }
}
