namespace Cleave.Compute.Tests;

/// <summary>The operations by their definitions, in double precision.</summary>
internal static class Reference
{
    public static double[] MatMul(Matrix weight, float[] x, int rows, float[] bias)
    {
        int k = (int)weight.Data.Columns;
        int outputs = (int)weight.Data.Rows;
        var y = new double[rows * outputs];
        for (int row = 0; row < rows; row++)
        {
            for (int output = 0; output < outputs; output++)
            {
                double sum = bias[output];
                for (int i = 0; i < k; i++)
                {
                    sum += x[(row * k) + i] * weight.Decoded[(output * k) + i];
                }

                y[(row * outputs) + output] = sum;
            }
        }

        return y;
    }

    public static double[] RmsNorm(float[] x, float[] weight, double epsilon, int rows, int groups)
    {
        int columns = x.Length / rows;
        int length = columns / groups;
        var y = new double[x.Length];
        for (int start = 0; start < x.Length; start += length)
        {
            double squares = 0;
            for (int i = 0; i < length; i++)
            {
                squares += (double)x[start + i] * x[start + i];
            }

            for (int i = 0; i < length; i++)
            {
                y[start + i] = x[start + i] / Math.Sqrt((squares / length) + epsilon) * weight[i];
            }
        }

        return y;
    }

    public static double[] Gated(Activation activation, float[] gate, float[] up) => [.. gate.Zip(up, (g, u) => u * (activation switch
    {
        Activation.Silu => g / (1 + Math.Exp(-g)),
        Activation.GeluTanh => 0.5 * g * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (g + (0.044715 * g * g * g)))),
        _ => 0.5 * g * (1 + Erf(g / Math.Sqrt(2))),
    }))];

    public static double[] Rope(float[] x, int headDim, double[] frequencies, RopeLayout layout, int[] positions)
    {
        double[] y = [.. x.Select(v => (double)v)];
        int columns = x.Length / positions.Length;
        for (int head = 0; head < x.Length; head += headDim)
        {
            for (int pair = 0; pair < frequencies.Length; pair++)
            {
                double angle = positions[head / columns] * frequencies[pair];
                int first = head + (layout == RopeLayout.Interleaved ? 2 * pair : pair);
                int second = layout == RopeLayout.Interleaved ? first + 1 : first + frequencies.Length;
                y[first] = (x[first] * Math.Cos(angle)) - (x[second] * Math.Sin(angle));
                y[second] = (x[first] * Math.Sin(angle)) + (x[second] * Math.Cos(angle));
            }
        }

        return y;
    }

    /// <summary>Maclaurin series within 3, then the continued fraction of erfc.</summary>
    public static double Erf(double x)
    {
        double a = Math.Abs(x);
        if (a < 3)
        {
            double term = a;
            double sum = a;
            for (int n = 1; n < 80; n++)
            {
                term *= -a * a / n;
                sum += term / ((2 * n) + 1);
            }

            return Math.Sign(x) * 2 / Math.Sqrt(Math.PI) * sum;
        }

        double fraction = a;
        for (int n = 60; n > 0; n--)
        {
            fraction = a + (n / 2.0 / fraction);
        }

        return Math.Sign(x) * (1 - (Math.Exp(-a * a) / Math.Sqrt(Math.PI) / fraction));
    }
}
