namespace Cleave.Inference.Sampling;

/// <summary>
/// Standard Gumbel noise as a pure function of (seed, choice, position, token): argmax of logit + noise is a sample of the
/// softmax (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030), and the same wherever and however often it is computed.
/// Uniforms come from Philox4x32-10 (Salmon et al., SC 2011) with 53 bits.
/// </summary>
public static class GumbelNoise
{
    /// <summary>No noise exceeds this: -ln(-ln(1 - 2^-54)) is about 37.4.</summary>
    public const double Maximum = 37.5;

    /// <summary>The noise of one token at one position.</summary>
    public static double At(ulong seed, int choice, int position, int token)
    {
        double uniform = Uniform(seed, choice, position, token);
        return -Math.Log(-Math.Log(uniform));
    }

    /// <summary>A uniform number in (0, 1): (k + 1/2) / 2^53 for a 53-bit k.</summary>
    public static double Uniform(ulong seed, int choice, int position, int token)
    {
        (uint x0, uint x1, _, _) = Philox((uint)token, (uint)position, (uint)choice, 0, (uint)seed, (uint)(seed >> 32));
        ulong bits = (((ulong)x0 << 32) | x1) >> 11;
        return (bits + 0.5) * (1.0 / (1UL << 53));
    }

    /// <summary>Ten rounds of Philox4x32.</summary>
    internal static (uint X0, uint X1, uint X2, uint X3) Philox(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (int round = 0; round < 10; round++)
        {
            ulong p0 = 0xD2511F53UL * c0;
            ulong p1 = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }

        return (c0, c1, c2, c3);
    }
}
