namespace Cleave.Compute.Tests;

/// <summary>
/// Random blocks of every stored type and their decoding in double precision, number by number from the layout's definition
/// (not the kernels' loops).
/// </summary>
internal static class StoredNumbers
{
    public static byte[] Random(Random random, ElementType type, int count)
    {
        var bytes = new byte[type.RowBytes(count)];
        random.NextBytes(bytes);
        switch (type)
        {
            case ElementType.F32:
                Fill(4, (at, value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), value));
                break;
            case ElementType.F16:
                // Every eighth number is subnormal.
                Fill(2, (at, value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), (Half)(at % 16 == 0 ? value * 3e-5f : value)));
                break;
            case ElementType.BF16:
                Fill(2, (at, value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)));
                break;
            default:
                for (int block = 0; block < bytes.Length; block += type.BlockBytes())
                {
                    // A third of the scales are subnormal halves.
                    Half scale = (Half)((random.NextDouble() + 0.1) * (random.Next(3) == 0 ? 4e-5 : 2e-3));
                    int at = type == ElementType.Q6_K ? 208 : 0;
                    BitConverter.TryWriteBytes(bytes.AsSpan(block + at), scale);
                    if (type is ElementType.Q4_K or ElementType.Q5_K)
                    {
                        BitConverter.TryWriteBytes(bytes.AsSpan(block + 2), (Half)(random.NextDouble() * 1e-3));
                    }
                }

                break;
        }

        return bytes;

        void Fill(int size, Action<int, float> write)
        {
            float[] values = Samples.Normal(random, bytes.Length / size);
            for (int i = 0; i < values.Length; i++)
            {
                write(i * size, values[i]);
            }
        }
    }

    public static double[] Decode(ElementType type, byte[] bytes, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Decode(type, bytes.AsSpan(i / type.BlockLength() * type.BlockBytes(), type.BlockBytes()), i % type.BlockLength()))];

    private static double Decode(ElementType type, ReadOnlySpan<byte> block, int i)
    {
        switch (type)
        {
            case ElementType.F32:
                return BitConverter.ToSingle(block);
            case ElementType.F16:
                return (double)BitConverter.ToHalf(block);
            case ElementType.BF16:
                return BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(block) << 16);
            case ElementType.Q8_0:
                return (double)BitConverter.ToHalf(block) * (sbyte)block[2 + i];
            case ElementType.Q4_0:
                return (double)BitConverter.ToHalf(block) * (Nibble(block[2 + (i % 16)], i / 16) - 8);
            case ElementType.Q4_K:
            case ElementType.Q5_K:
                int sub = i / 32;
                bool five = type == ElementType.Q5_K;
                int quant = Nibble(block[(five ? 48 : 16) + (sub / 2 * 32) + (i % 32)], sub % 2);
                quant += five ? ((block[16 + (i % 32)] >> sub) & 1) * 16 : 0;
                (int scale, int minimum) = sub < 4
                    ? (block[4 + sub] % 64, block[8 + sub] % 64)
                    : (Nibble(block[8 + sub], 0) + (block[sub] / 64 * 16), Nibble(block[8 + sub], 1) + (block[4 + sub] / 64 * 16));

                // Rounded as the format's readers do: once, in float32.
                return (float)(((double)BitConverter.ToHalf(block) * scale * quant) - ((double)BitConverter.ToHalf(block[2..]) * minimum));
            default:
                int half = i / 128;
                int quarter = i % 128 / 32;
                int low = Nibble(block[(half * 64) + (quarter % 2 * 32) + (i % 32)], quarter / 2);
                int high = (block[128 + (half * 32) + (i % 32)] >> (2 * quarter)) & 3;
                return (double)BitConverter.ToHalf(block[208..]) * (sbyte)block[192 + (i / 16)] * (low + (16 * high) - 32);
        }
    }

    private static int Nibble(byte value, int index) => index == 0 ? value & 15 : value >> 4;
}
