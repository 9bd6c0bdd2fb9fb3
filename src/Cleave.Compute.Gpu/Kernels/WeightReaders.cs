using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

internal readonly struct F32Reader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k) =>
        Interop.IntAsFloat(weight[row + (2 * k)] | ((uint)weight[row + (2 * k) + 1] << 16));
}

internal readonly struct F16Reader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k) => KernelMath.FromHalf(weight[row + k]);
}

internal readonly struct BF16Reader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k) => KernelMath.FromBrain(weight[row + k]);
}

/// <summary>Block of 32: a binary16 scale, 32 signed bytes.</summary>
internal readonly struct Q8_0Reader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k)
    {
        long block = row + (k / 32 * 17);
        int i = k % 32;
        uint pair = weight[block + 1 + (i / 2)];
        int value = (int)((pair >> (8 * (i & 1))) & 0xFF);
        return KernelMath.FromHalf(weight[block]) * (value - ((value & 0x80) << 1));
    }
}

/// <summary>Block of 32: a binary16 scale, then 16 bytes whose low nibbles are numbers 0..15 and high nibbles 16..31, minus 8.</summary>
internal readonly struct Q4_0Reader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k)
    {
        long block = row + (k / 32 * 9);
        int i = k % 32;
        uint pair = weight[block + 1 + (i % 16 / 2)];
        int value = (int)((pair >> ((8 * (i & 1)) + (i >= 16 ? 4 : 0))) & 0xF);
        return KernelMath.FromHalf(weight[block]) * (value - 8);
    }
}

/// <summary>
/// Super-block of 256: d, dmin, twelve bytes of 6-bit scales and minima for eight sub-blocks of 32, 128 bytes of nibbles: each run of
/// 32 bytes holds sub-block 2j in its low nibbles and 2j+1 in its high ones.
/// </summary>
internal readonly struct Q4_KReader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k)
    {
        long block = row + (k / 256 * 72);
        int i = k % 256;
        int sub = i / 32;
        uint pair = weight[block + 8 + (sub / 2 * 16) + (i % 32 / 2)];
        uint nibble = (pair >> ((8 * (i & 1)) + (4 * (sub & 1)))) & 0xF;
        return (KernelMath.FromHalf(weight[block]) * KScales.Scale(weight, block + 2, sub) * nibble)
            - (KernelMath.FromHalf(weight[block + 1]) * KScales.Minimum(weight, block + 2, sub));
    }
}

/// <summary>As Q4_K with 32 bytes of fifth bits after the scales: bit s of byte i belongs to number i of sub-block s.</summary>
internal readonly struct Q5_KReader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k)
    {
        long block = row + (k / 256 * 88);
        int i = k % 256;
        int sub = i / 32;
        uint pair = weight[block + 24 + (sub / 2 * 16) + (i % 32 / 2)];
        uint high = weight[block + 8 + (i % 32 / 2)];
        uint value = ((pair >> ((8 * (i & 1)) + (4 * (sub & 1)))) & 0xF) | (((high >> ((8 * (i & 1)) + sub)) & 1) << 4);
        return (KernelMath.FromHalf(weight[block]) * KScales.Scale(weight, block + 2, sub) * value)
            - (KernelMath.FromHalf(weight[block + 1]) * KScales.Minimum(weight, block + 2, sub));
    }
}

/// <summary>
/// Super-block of 256: 128 bytes of low nibbles, 64 bytes of high pairs, sixteen signed 8-bit scales, d. Each half of 128 numbers is four
/// runs of 32: runs 0 and 1 in the low nibbles of bytes 0..31 and 32..63, runs 2 and 3 in their high nibbles.
/// </summary>
internal readonly struct Q6_KReader : IWeightReader
{
    public float Read(ArrayView<ushort> weight, long row, int k)
    {
        long block = row + (k / 256 * 105);
        int i = k % 256;
        int half = i / 128;
        int run = i % 128 / 32;
        int j = i % 32;
        uint low = (uint)weight[block + (half * 32) + ((run & 1) * 16) + (j / 2)] >> ((8 * (j & 1)) + (4 * (run / 2)));
        uint high = (uint)weight[block + 64 + (half * 16) + (j / 2)] >> ((8 * (j & 1)) + (2 * run));
        int value = (int)((low & 0xF) | ((high & 3) << 4)) - 32;
        int scaleIndex = i / 16;
        int scale = (int)(((uint)weight[block + 96 + (scaleIndex / 2)] >> (8 * (scaleIndex & 1))) & 0xFF);
        return KernelMath.FromHalf(weight[block + 104]) * (scale - ((scale & 0x80) << 1)) * value;
    }
}

/// <summary>The twelve packed bytes of 6-bit scales and minima of Q4_K and Q5_K.</summary>
internal static class KScales
{
    public static uint Scale(ArrayView<ushort> weight, long at, int sub) =>
        sub < 4 ? Byte(weight, at, sub) & 63 : (Byte(weight, at, sub + 4) & 0xF) | ((Byte(weight, at, sub - 4) >> 6) << 4);

    public static uint Minimum(ArrayView<ushort> weight, long at, int sub) =>
        sub < 4 ? Byte(weight, at, sub + 4) & 63 : (Byte(weight, at, sub + 4) >> 4) | ((Byte(weight, at, sub) >> 6) << 4);

    private static uint Byte(ArrayView<ushort> weight, long at, int index) =>
        ((uint)weight[at + (index / 2)] >> (8 * (index & 1))) & 0xFF;
}
