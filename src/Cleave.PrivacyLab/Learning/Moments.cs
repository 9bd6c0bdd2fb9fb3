namespace Cleave.PrivacyLab.Learning;

/// <summary>Means and variances of columns, in double.</summary>
internal static class Moments
{
    /// <summary>Mean of each column of x: [rows, columns].</summary>
    public static double[] Mean(ReadOnlySpan<float> x, int columns)
    {
        var mean = new double[columns];
        int rows = x.Length / columns;
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < columns; i++)
            {
                mean[i] += x[(row * columns) + i];
            }
        }

        for (int i = 0; i < columns; i++)
        {
            mean[i] /= Math.Max(rows, 1);
        }

        return mean;
    }

    /// <summary>Standard deviation of each column around <paramref name="mean"/>.</summary>
    public static double[] Deviation(ReadOnlySpan<float> x, ReadOnlySpan<double> mean)
    {
        int columns = mean.Length;
        var deviation = new double[columns];
        int rows = x.Length / columns;
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < columns; i++)
            {
                double d = x[(row * columns) + i] - mean[i];
                deviation[i] += d * d;
            }
        }

        for (int i = 0; i < columns; i++)
        {
            deviation[i] = Math.Sqrt(deviation[i] / Math.Max(rows, 1)) + 1e-9;
        }

        return deviation;
    }
}
