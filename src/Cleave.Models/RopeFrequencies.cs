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

    /// <summary>Llama 3.1's scaling, in place: long wavelengths by the factor, short ones not, those between in proportion.</summary>
    public static void ScaleLlama3(double[] frequencies, double factor, double lowFactor, double highFactor, double originalContext)
    {
        for (int i = 0; i < frequencies.Length; i++)
        {
            double wavelength = 2 * Math.PI / frequencies[i];
            if (wavelength > originalContext / lowFactor)
            {
                frequencies[i] /= factor;
            }
            else if (wavelength >= originalContext / highFactor)
            {
                double smooth = ((originalContext / wavelength) - lowFactor) / (highFactor - lowFactor);
                frequencies[i] = ((1 - smooth) * frequencies[i] / factor) + (smooth * frequencies[i]);
            }
        }
    }
}
