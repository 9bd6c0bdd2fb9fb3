namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// How weights lie in device memory for the tensor cores. A band is 16 outputs; within a band, K runs in steps of 32 and each of a warp's 32
/// lanes finds its fragments side by side, so that any run of K of a band is one contiguous copy and shared memory is read without
/// bank conflicts. Lane 4g+t holds rows g and g+8, numbers 2t, 2t+1, 2t+8, 2t+9 of each 16 (the A fragment of mma.m16n8k16).
/// <list type="bullet">
/// <item>BF16, F16: two runs of [lane, 8 numbers]: 1024 bytes a step</item>
/// <item>Q8_0: [lane, 16 bytes], then 16 binary16 scales, one a row: 544 bytes</item>
/// <item>Q4_K: [lane, 8 bytes of nibbles], then 16 pairs of binary16 (scale · d, minimum · dmin), one a row: 320 bytes (5 bits a number)</item>
/// </list>
/// </summary>
internal static class WeightPacking
{
    public const int BandRows = 16;
    public const int Step = 32;

    /// <summary>
    /// Factor on activations in binary16: keeps magnitudes to 2 million finite, and costs nothing in accuracy above 1e-3 since it is
    /// a power of two. Results are multiplied by its inverse, which is exact as well.
    /// </summary>
    public const float HalfScale = 1f / 32;

    /// <summary>True when weights of this type and width run on the tensor cores.</summary>
    public static bool Packs(ElementType type, int inputs) =>
        type is ElementType.BF16 or ElementType.F16 or ElementType.Q8_0 or ElementType.Q4_K && inputs % Step == 0 && inputs >= Step;

    /// <summary>Bytes of one band's step of 32.</summary>
    public static int StepBytes(ElementType type) => type switch
    {
        ElementType.BF16 or ElementType.F16 => 1024,
        ElementType.Q8_0 => 544,
        ElementType.Q4_K => 320,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not packed"),
    };

    /// <summary>16-bit units of a packed weight; the last band is padded with zeros.</summary>
    public static long Units(ElementType type, int outputs, int inputs) =>
        (long)Bands(outputs) * (inputs / Step) * (StepBytes(type) / 2);

    public static int Bands(int outputs) => (outputs + BandRows - 1) / BandRows;
}
