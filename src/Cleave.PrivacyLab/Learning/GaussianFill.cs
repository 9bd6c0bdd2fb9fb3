namespace Cleave.PrivacyLab.Learning;

/// <summary>Normal numbers for experiments (the privacy noise itself comes from a cryptographic source).</summary>
internal static class GaussianFill
{
    /// <summary>Fills with independent standard normals.</summary>
    public static void Apply(Span<float> values, Random random)
    {
        foreach (ref float value in values)
        {
            value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }
    }
}
