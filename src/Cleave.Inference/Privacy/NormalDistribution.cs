namespace Cleave.Inference.Privacy;

/// <summary>The standard normal distribution function, accurate in relative terms far into its lower tail.</summary>
internal static class NormalDistribution
{
    private static readonly double LogSqrtTwoPi = 0.5 * Math.Log(2 * Math.PI);

    /// <summary>P(Z &lt;= x).</summary>
    public static double Cdf(double x) => x > 0 ? 1 - Math.Exp(LogCdf(-x)) : Math.Exp(LogCdf(x));

    /// <summary>log P(Z &lt;= x).</summary>
    public static double LogCdf(double x)
    {
        if (x > 0)
        {
            return Math.Log(Cdf(x));
        }

        // Power series of erf near the middle, the continued fraction of Mills' ratio in the tail (Abramowitz and Stegun 26.2.10, 26.2.14).
        return x > -3 ? Math.Log(0.5 - Series(-x)) : -(0.5 * x * x) - LogSqrtTwoPi + Math.Log(MillsRatio(-x));
    }

    private static double Series(double x)
    {
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-17 * Math.Abs(sum) && n < 200; n++)
        {
            term *= -x * x / (2 * n);
            sum += term / ((2 * n) + 1);
        }

        return sum / Math.Sqrt(2 * Math.PI);
    }

    private static double MillsRatio(double x)
    {
        double fraction = 0;
        for (int n = 80; n > 0; n--)
        {
            fraction = n / (x + fraction);
        }

        return 1 / (x + fraction);
    }
}
