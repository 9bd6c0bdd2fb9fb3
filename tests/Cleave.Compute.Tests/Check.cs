namespace Cleave.Compute.Tests;

/// <summary>Comparisons that say where two results part.</summary>
internal static class Check
{
    /// <summary>max|a - b| / max|b| is at most <paramref name="tolerance"/>.</summary>
    public static void Close(double[] expected, float[] actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        double largest = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
        {
            double error = Math.Abs(expected[i] - actual[i]);
            Assert.True(error <= tolerance * largest, $"{what}: element {i} is {actual[i]:g9}, expected {expected[i]:g9}, largest {largest:g6}");
        }
    }

    /// <summary>Equal bit by bit (any NaN equals any NaN).</summary>
    public static void SameBits(float[] expected, float[] actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            bool same = BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i])
                || (float.IsNaN(expected[i]) && float.IsNaN(actual[i]));
            Assert.True(same, $"{what}: element {i} is {actual[i]:g9}, expected {expected[i]:g9}");
        }
    }
}
