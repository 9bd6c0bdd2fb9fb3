using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>
/// Scalar functions for kernels, written out so that every back end rounds alike and none needs a vendor's maths library.
/// </summary>
internal static class KernelMath
{
    /// <summary>e^x: range reduction by ln 2 in two parts (Cody and Waite), then a degree-6 polynomial; under 2 ulp.</summary>
    public static float Exp(float x)
    {
        if (x < -87.0f)
        {
            return 0;
        }

        float bounded = x > 88.0f ? 88.0f : x;
        int n = (int)((bounded * 1.44269504f) + (bounded < 0 ? -0.5f : 0.5f));
        float r = bounded - (n * 0.693359375f);
        r -= n * -2.12194440e-4f;
        float p = 1.9875691500e-4f;
        p = (p * r) + 1.3981999507e-3f;
        p = (p * r) + 8.3334519073e-3f;
        p = (p * r) + 4.1665795894e-2f;
        p = (p * r) + 1.6666665459e-1f;
        p = (p * r) + 5.0000001201e-1f;
        p = (p * r * r) + r + 1;
        return p * Interop.IntAsFloat((uint)(n + 127) << 23);
    }

    /// <summary>tanh x by way of e^(-2|x|); near zero by its series, where the quotient would cancel.</summary>
    public static float Tanh(float x)
    {
        float a = x < 0 ? -x : x;
        float t;
        if (a < 0.1f)
        {
            float s = a * a;
            t = a * (1 + (s * (-0.33333333f + (s * (0.13333333f - (s * 0.053968254f))))));
        }
        else
        {
            float e = Exp(-2 * a);
            t = (1 - e) / (1 + e);
        }

        return x < 0 ? -t : t;
    }

    /// <summary>erf x: Abramowitz and Stegun 7.1.26, absolute error under 1.5e-7.</summary>
    public static float Erf(float x)
    {
        float a = x < 0 ? -x : x;
        float t = 1 / (1 + (0.3275911f * a));
        float p = 1.061405429f;
        p = (p * t) - 1.453152027f;
        p = (p * t) + 1.421413741f;
        p = (p * t) - 0.284496736f;
        p = (p * t) + 0.254829592f;
        float r = 1 - (p * t * Exp(-a * a));
        return x < 0 ? -r : r;
    }

    /// <summary>The gate of a gated feed-forward; <paramref name="kind"/> is the number of an <see cref="Activation"/>.</summary>
    public static float Activate(float x, int kind)
    {
        if (kind == 0)
        {
            return x / (1 + Exp(-x));
        }

        return kind == 1
            ? 0.5f * x * (1 + Tanh(0.7978845608f * (x + (0.044715f * x * x * x))))
            : 0.5f * x * (1 + Erf(x * 0.70710678f));
    }

    /// <summary>binary16 to binary32, subnormals included.</summary>
    public static float FromHalf(uint bits)
    {
        float magnitude = Interop.IntAsFloat((bits & 0x7FFFu) << 13) * Interop.IntAsFloat(0x77800000u);
        return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
    }

    /// <summary>bfloat16 to binary32.</summary>
    public static float FromBrain(uint bits) => Interop.IntAsFloat(bits << 16);

    /// <summary>binary32 to bfloat16, to nearest, ties to even.</summary>
    public static uint ToBrain(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        return (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    }

    /// <summary>binary32 to binary16, to nearest, ties to even; saturates at the largest finite number.</summary>
    public static uint ToHalf(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        uint sign = (bits >> 16) & 0x8000u;
        uint magnitude = bits & 0x7FFFFFFFu;
        if (magnitude >= 0x477FF000u)
        {
            return sign | 0x7BFFu;
        }

        if (magnitude < 0x38800000u)
        {
            // Subnormal: adding 0.5 makes the float unit round at 2^-24, binary16's last place.
            float shifted = Interop.IntAsFloat(magnitude) + 0.5f;
            return sign | (Interop.FloatAsInt(shifted) - 0x3F000000u);
        }

        return sign | ((magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13);
    }
}
