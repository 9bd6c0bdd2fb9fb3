namespace Cleave.Models;

/// <summary>Inverse frequencies of rotary embeddings, in radians per position.</summary>
internal static class RopeFrequencies
{
    /// <summary>base^(-2i / dimensions) for each pair i.</summary>
    public static double[] Plain(double frequencyBase, int dimensions)
    {
        var frequencies = new double[dimensions / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            frequencies[i] = Math.Pow(frequencyBase, -2.0 * i / dimensions);
        }

        return frequencies;
    }
}
