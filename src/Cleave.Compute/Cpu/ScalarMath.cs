namespace Cleave.Compute.Cpu;

/// <summary>
/// The transcendental functions of every kernel path, one number at a time: the specification of
/// <see cref="VectorMath{TLanes}"/>. Polynomials are minimax fits of this project; errors are below 2 ulp.
/// </summary>
internal static class ScalarMath
{
    public const float Log2E = 1.44269502f;
    public const float Ln2High = 0.693359375f;
    public const float Ln2Low = -0.000212194442f;

    /// <summary>1.5 · 2^23: adding and subtracting it rounds to the nearest integer.</summary>
    public const float Rounder = 12582912f;

    // (e^r - 1 - r) / r² on |r| <= ln 2 / 2, relative error 1.6e-10 of e^r.
    public const float E0 = 0.5f;
    public const float E1 = 0.166666672f;
    public const float E2 = 0.041666463f;
    public const float E3 = 0.00833328627f;
    public const float E4 = 0.00139337324f;
    public const float E5 = 0.000199077069f;

    // (tanh(x) - x) / x³ in x², |x| <= 0.63, relative error 4.8e-9.
    public const float TanhSmall = 0.625f;
    public const float T0 = -0.333332777f;
    public const float T1 = 0.133313313f;
    public const float T2 = -0.0537300073f;
    public const float T3 = 0.0206061769f;
    public const float T4 = -0.00566697726f;

    // erf(x) / x in x², |x| <= 1, relative error 1.2e-9.
    public const float F0 = 1.12837911f;
    public const float F1 = -0.37612626f;
    public const float F2 = 0.112835854f;
    public const float F3 = -0.026853811f;
    public const float F4 = 0.00518832775f;
    public const float F5 = -0.000801019254f;
    public const float F6 = 7.85385782e-05f;

    // erfc(x) · e^(x²) / t in t = 1 / (1 + x / 2), x >= 1, absolute error of erf 1.7e-10.
    public const float C0 = 0.278917581f;
    public const float C1 = 0.312673688f;
    public const float C2 = 0.131287858f;
    public const float C3 = 0.381334782f;
    public const float C4 = -0.0537269898f;
    public const float C5 = -0.0510061383f;

    /// <summary>2 · sqrt(2 / π) and the same times 0.044715.</summary>
    public const float GeluLinear = 1.59576912f;
    public const float GeluCubic = 0.0713548163f;

    public const float SqrtHalf = 0.707106781f;

    public static float Exp(float x)
    {
        x = x < -105f ? -105f : x;
        x = 89f < x ? 89f : x;
        float n = Fma(x, Log2E, Rounder) - Rounder;
        float r = Fma(n, -Ln2Low, Fma(n, -Ln2High, x));
        float p = Fma(Fma(Fma(Fma(Fma(E5, r, E4), r, E3), r, E2), r, E1), r, E0);
        float y = 1f + Fma(r * r, p, r);

        // 2^n in two halves, so that results below the normal range are rounded once.
        float half = Fma(n, 0.5f, Rounder) - Rounder;
        return y * PowerOfTwo(half) * PowerOfTwo(n - half);
    }

    public static float Tanh(float x)
    {
        float a = MathF.Abs(x);
        float s = a * a;
        float p = Fma(Fma(Fma(Fma(T4, s, T3), s, T2), s, T1), s, T0);
        float small = Fma(s * a, p, a);
        float large = 1f - (2f / (Exp(a + a) + 1f));
        return MathF.CopySign(a < TanhSmall ? small : large, x);
    }

    public static float Erf(float x)
    {
        float a = MathF.Abs(x);
        float s = a * a;
        float small = a * Fma(Fma(Fma(Fma(Fma(Fma(F6, s, F5), s, F4), s, F3), s, F2), s, F1), s, F0);
        float t = 1f / Fma(a, 0.5f, 1f);
        float q = t * Fma(Fma(Fma(Fma(Fma(C5, t, C4), t, C3), t, C2), t, C1), t, C0);
        float large = 1f - (Exp(-s) * q);
        return MathF.CopySign(a < 1f ? small : large, x);
    }

    public static float Silu(float x) => x / (1f + Exp(-x));

    /// <summary>0.5 x (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2 / π) (x + 0.044715 x³).</summary>
    public static float GeluTanh(float x) => x / (1f + Exp(-(x * Fma(x * x, GeluCubic, GeluLinear))));

    public static float Gelu(float x) => (0.5f * x) * (1f + Erf(x * SqrtHalf));

    private static float Fma(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);

    private static float PowerOfTwo(float n) => float.IsNaN(n) ? n : BitConverter.Int32BitsToSingle(((int)n + 127) << 23);
}
