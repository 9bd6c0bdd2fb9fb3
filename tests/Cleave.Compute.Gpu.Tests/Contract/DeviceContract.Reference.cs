namespace Cleave.Compute.Gpu.Contract;

/// <summary>What the operations should give, in double precision.</summary>
internal sealed partial class DeviceContract
{
    private static float[] Pick(float[] source, int[] rows, int columns) => [.. rows.SelectMany(r => source.AsSpan(r * columns, columns).ToArray())];

    private static double Activate(double x, Activation activation) => activation switch
    {
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        _ => 0.5 * x * (1 + Erf(x / Math.Sqrt(2))),
    };

    // Maclaurin series: enough for the test's arguments under 3.
    private static double Erf(double x)
    {
        double term = x;
        double sum = x;
        for (int n = 1; n < 60; n++)
        {
            term *= -x * x / n;
            sum += term / ((2 * n) + 1);
        }

        return sum * 2 / Math.Sqrt(Math.PI);
    }

    private static double[] Rotate(ReadOnlySpan<float> x, int headDim, RopeTable rope, int position)
    {
        var y = new double[x.Length];
        float[] table = rope.For(position + 1);
        for (int head = 0; head < x.Length / headDim; head++)
        {
            for (int pair = 0; pair < rope.Pairs; pair++)
            {
                double cos = table[(position * rope.RowLength) + pair];
                double sin = table[(position * rope.RowLength) + rope.Pairs + pair];
                int i = (head * headDim) + (rope.Layout == RopeLayout.Interleaved ? 2 * pair : pair);
                int j = rope.Layout == RopeLayout.Interleaved ? i + 1 : i + rope.Pairs;
                y[i] = (x[i] * cos) - (x[j] * sin);
                y[j] = (x[i] * sin) + (x[j] * cos);
            }
        }

        return y;
    }

    private static double[] Round(double[] values, ElementType type)
    {
        if (type == ElementType.Q8_0)
        {
            var rounded = new double[values.Length];
            for (int block = 0; block < values.Length; block += 32)
            {
                double max = values.AsSpan(block, 32).ToArray().Max(Math.Abs);
                double scale = (double)(Half)(max / 127);
                for (int i = block; i < block + 32; i++)
                {
                    rounded[i] = Math.Round(values[i] / (max / 127), MidpointRounding.AwayFromZero) * scale;
                }
            }

            return rounded;
        }

        return [.. values.Select(v => type switch
        {
            ElementType.F16 => (double)(Half)(float)v,
            ElementType.BF16 => Brain((float)v),
            _ => v,
        })];
    }

    private static double Brain(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
