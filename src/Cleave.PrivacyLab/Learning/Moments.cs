namespace Cleave.PrivacyLab.Learning;

/// <summary>Means and variances of columns, in double. Threads share the columns, so a sum has one order.</summary>
internal static class Moments
{
    // Columns a thread sums at a time: a few lines of the cache of every row.
    private const int Block = 64;

    /// <summary>Mean of each column of x: [rows, columns].</summary>
    public static double[] Mean(float[] x, int columns)
    {
        int rows = x.Length / columns;
        return Sum(x, columns, static (value, _) => value, []).Select(sum => sum / Math.Max(rows, 1)).ToArray();
    }

    /// <summary>Standard deviation of each column around <paramref name="mean"/>.</summary>
    public static double[] Deviation(float[] x, double[] mean)
    {
        int rows = x.Length / mean.Length;
        return Sum(x, mean.Length, static (value, mean) => (value - mean) * (value - mean), mean).Select(sum => Math.Sqrt(sum / Math.Max(rows, 1)) + 1e-9).ToArray();
    }

    private static double[] Sum(float[] x, int columns, Func<float, double, double> of, double[] mean)
    {
        var sums = new double[columns];
        int rows = x.Length / columns;
        Parallel.For(0, (columns + Block - 1) / Block, block =>
        {
            int left = block * Block;
            int right = Math.Min(left + Block, columns);
            var own = new double[right - left];
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<float> values = x.AsSpan((row * columns) + left, own.Length);
                for (int i = 0; i < own.Length; i++)
                {
                    own[i] += of(values[i], mean.Length == 0 ? 0 : mean[left + i]);
                }
            }

            own.CopyTo(sums, left);
        });
        return sums;
    }
}
