namespace Cleave.Inference.Privacy;

/// <summary>
/// The exact trade-off of Gaussian noise (Balle and Wang 2018, arXiv 1805.06530, theorem 8; composition as in Dong et al. 2019, arXiv
/// 1905.02383). mu is sensitivity / sigma; releases with mu_1, ..., mu_k together are one with mu = sqrt(sum of squares).
/// </summary>
public static class GaussianMechanism
{
    // Far more privacy, or far less, than any setting one would use.
    private const double SmallestMu = 1e-9;
    private const double LargestMu = 1e4;

    /// <summary>The delta for which a release with <paramref name="mu"/> is (epsilon, delta)-differentially private.</summary>
    public static double Delta(double mu, double epsilon)
    {
        double first = NormalDistribution.Cdf((mu / 2) - (epsilon / mu));
        double second = Math.Exp(epsilon + NormalDistribution.LogCdf(-(mu / 2) - (epsilon / mu)));
        return Math.Max(0, first - second);
    }

    /// <summary>The smallest epsilon for which a release with <paramref name="mu"/> is (epsilon, delta)-differentially private.</summary>
    public static double Epsilon(double mu, double delta)
    {
        CheckDelta(delta);
        if (mu <= 0)
        {
            return 0;
        }

        double low = 0, high = 1;
        while (Delta(mu, high) > delta)
        {
            high *= 2;
        }

        for (int i = 0; i < 100; i++)
        {
            double middle = 0.5 * (low + high);
            (low, high) = Delta(mu, middle) > delta ? (middle, high) : (low, middle);
        }

        return high;
    }

    /// <summary>The smallest standard deviation that makes a release of this sensitivity (epsilon, delta)-differentially private.</summary>
    /// <param name="sensitivity">Largest distance (L2) between the releases of two inputs.</param>
    /// <param name="epsilon">Above 0.</param>
    /// <param name="delta">Between 0 and 1.</param>
    public static double Sigma(double sensitivity, double epsilon, double delta)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(sensitivity);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(epsilon);
        CheckDelta(delta);
        double low = SmallestMu, high = LargestMu;
        for (int i = 0; i < 200; i++)
        {
            double middle = Math.Sqrt(low * high);
            (low, high) = Delta(middle, epsilon) > delta ? (low, middle) : (middle, high);
        }

        return sensitivity / low;
    }

    /// <summary>mu of <paramref name="releases"/> releases of <paramref name="mu"/> each.</summary>
    public static double Compose(double mu, long releases) => mu * Math.Sqrt(releases);

    private static void CheckDelta(double delta)
    {
        if (!(delta > 0 && delta < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(delta), delta, "delta lies between 0 and 1");
        }
    }
}
