using System.Runtime.InteropServices;
using Cleave.Protocol.Codec;

namespace Cleave.Protocol.Tests.Codec;

public sealed class ActivationCodecTests
{
    private static readonly WireType[] s_types = [WireType.F32, WireType.F16, WireType.BF16, WireType.Q8];

    // Every binary32 with a few bits set either way around what rounding cares about, plus plain random ones.
    private static readonly Gen<float> s_finite = Gen.OneOf(
        Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite),
        Gen.Float[-100, 100],
        Gen.Int[0, 0x7BFF].Select(h => (float)BitConverter.UInt16BitsToHalf((ushort)h)),
        Gen.Select(Gen.Int[0, 0x7BFE], Gen.Bool, (h, up) => MathF.BitIncrement((((float)BitConverter.UInt16BitsToHalf((ushort)h)) + (float)BitConverter.UInt16BitsToHalf((ushort)(h + 1))) / 2) * (up ? 1 : -1)),
        Gen.Select(Gen.Int[0, 0x7BFE], Gen.Bool, (h, up) => (((float)BitConverter.UInt16BitsToHalf((ushort)h)) + (float)BitConverter.UInt16BitsToHalf((ushort)(h + 1))) / 2 * (up ? 1 : -1)),
        Gen.OneOf(new[] { 0f, -0f, float.Epsilon, -float.Epsilon, float.MaxValue, float.MinValue, 65504f, 65519.996f, 65520f, 6.1035156e-05f, 6.097555e-05f, 5.9604645e-08f, 2.9802322e-08f }.Select(Gen.Const).ToArray()));

    [Fact]
    public void Golden_bytes()
    {
        float[] row = [1, -2.5f, 127f, 0.1f];
        Assert.Equal("0000803F000020C00000FE42CDCCCC3D", Encode(WireType.F32, row, 4));
        Assert.Equal("003C00C1F057662E", Encode(WireType.F16, row, 4));
        Assert.Equal("803F20C0FE42CD3D", Encode(WireType.BF16, row, 4));

        // Scale 1; -2.5 rounds to even.
        Assert.Equal("0000803F01FE7F00", Encode(WireType.Q8, row, 4));
    }

    [Fact]
    public void Half_is_the_runtimes_conversion_saturated() => s_finite.Array[1, 70].Sample(row =>
    {
        byte[] payload = new byte[2 * row.Length];
        Assert.True(ActivationCodec.TryEncode(WireType.F16, row, row.Length, payload, out _));
        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(payload);
        for (int i = 0; i < row.Length; i++)
        {
            Assert.Equal((Half)Math.Clamp(row[i], -65504f, 65504f), halves[i]);
            Assert.Equal(float.IsNegative(row[i]), Half.IsNegative(halves[i]));
        }
    });

    [Fact]
    public void Every_half_decodes_as_the_runtime_does()
    {
        ushort[] all = [.. Enumerable.Range(0, 65_536).Select(i => (ushort)i).Where(i => (i & 0x7C00) != 0x7C00)];
        float[] decoded = new float[all.Length];
        Assert.True(ActivationCodec.TryDecode(WireType.F16, MemoryMarshal.AsBytes(all.AsSpan()), all.Length, decoded, out _));
        Assert.Equal(all.Select(h => (float)BitConverter.UInt16BitsToHalf(h)), decoded);
    }

    [Fact]
    public void Brain_float_is_the_nearest_even_saturated() => s_finite.Array[1, 70].Sample(row =>
    {
        byte[] payload = new byte[2 * row.Length];
        Assert.True(ActivationCodec.TryEncode(WireType.BF16, row, row.Length, payload, out _));
        float[] decoded = new float[row.Length];
        Assert.True(ActivationCodec.TryDecode(WireType.BF16, payload, row.Length, decoded, out _));
        for (int i = 0; i < row.Length; i++)
        {
            // In double there is room to compare the two neighbours exactly.
            uint low = BitConverter.SingleToUInt32Bits(row[i]) & 0xFFFF_0000;
            float below = BitConverter.UInt32BitsToSingle(low);
            float above = BitConverter.UInt32BitsToSingle(low + 0x1_0000);
            double toBelow = Math.Abs((double)row[i] - below);
            double toAbove = float.IsFinite(above) ? Math.Abs((double)row[i] - above) : double.PositiveInfinity;
            float expected = toBelow < toAbove || (toBelow == toAbove && (low & 0x1_0000) == 0) ? below : above;
            Assert.Equal(BitConverter.SingleToUInt32Bits(expected), BitConverter.SingleToUInt32Bits(decoded[i]));
        }
    });

    [Fact]
    public void Q8_is_within_half_a_step_and_saturates_far_out() => s_finite.Array[1, 70].Sample(row =>
    {
        const double saturation = 127.0 / 128 * float.MaxValue;
        byte[] payload = new byte[4 + row.Length];
        Assert.True(ActivationCodec.TryEncode(WireType.Q8, row, row.Length, payload, out _));
        float[] decoded = new float[row.Length];
        Assert.True(ActivationCodec.TryDecode(WireType.Q8, payload, row.Length, decoded, out _));
        double largest = row.Max(x => Math.Abs((double)x));
        for (int i = 0; i < row.Length; i++)
        {
            double value = Math.Clamp(row[i], -saturation, saturation);
            Assert.True(Math.Abs(decoded[i] - value) <= (Math.Min(largest, saturation) * 0.500001 / 127) + 1e-30, $"{row[i]} became {decoded[i]}, largest {largest}");
        }
    });

    [Fact]
    public void A_row_does_not_depend_on_its_neighbours() => Gen.Select(Gen.Int[0, 3], Gen.Int[1, 80], Gen.Int[1, 6], Gen.Int).Sample((t, hiddenSize, rows, seed) =>
    {
        WireType type = s_types[t];
        var random = new Random(seed);
        float[] all = [.. Enumerable.Range(0, rows * hiddenSize).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 5))))];
        string together = Encode(type, all, hiddenSize);
        string apart = string.Concat(Enumerable.Range(0, rows).Select(r => Encode(type, all[(r * hiddenSize)..((r + 1) * hiddenSize)], hiddenSize)));
        Assert.Equal(apart, together);

        byte[] payload = Convert.FromHexString(together);
        int rowBytes = ActivationCodec.RowBytes(type, hiddenSize);
        float[] decoded = new float[all.Length];
        Assert.True(ActivationCodec.TryDecode(type, payload, hiddenSize, decoded, out _));
        for (int r = 0; r < rows; r++)
        {
            float[] one = new float[hiddenSize];
            Assert.True(ActivationCodec.TryDecode(type, payload.AsSpan(r * rowBytes, rowBytes), hiddenSize, one, out _));
            Assert.Equal(one, decoded[(r * hiddenSize)..((r + 1) * hiddenSize)]);
        }

        // Lossless on a second pass (q8 rescales, so it is left out): a relay changes nothing.
        if (type != WireType.Q8)
        {
            Assert.Equal(together, Encode(type, decoded, hiddenSize));
        }
    });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void What_is_not_finite_is_refused_by_row_wherever_it_is(float bad)
    {
        const int hiddenSize = 37;
        foreach (WireType type in s_types)
        {
            int rowBytes = ActivationCodec.RowBytes(type, hiddenSize);
            for (int at = 0; at < 3 * hiddenSize; at++)
            {
                float[] rows = new float[3 * hiddenSize];
                rows[at] = bad;
                Assert.False(ActivationCodec.TryEncode(type, rows, hiddenSize, new byte[3 * rowBytes], out int badRow));
                Assert.Equal(at / hiddenSize, badRow);

                byte[] payload = new byte[3 * rowBytes];
                int row = at / hiddenSize;
                int column = at % hiddenSize;
                switch (type)
                {
                    case WireType.F32:
                        BitConverter.TryWriteBytes(payload.AsSpan((row * rowBytes) + (4 * column)), bad);
                        break;
                    case WireType.F16:
                        BitConverter.TryWriteBytes(payload.AsSpan((row * rowBytes) + (2 * column)), (Half)bad);
                        break;
                    case WireType.BF16:
                        BitConverter.TryWriteBytes(payload.AsSpan((row * rowBytes) + (2 * column)), (ushort)(BitConverter.SingleToUInt32Bits(bad) >> 16));
                        break;
                    default:
                        BitConverter.TryWriteBytes(payload.AsSpan(row * rowBytes), bad);
                        break;
                }

                Assert.False(ActivationCodec.TryDecode(type, payload, hiddenSize, rows, out badRow));
                Assert.Equal(row, badRow);
            }
        }
    }

    [Theory]
    [InlineData(-1f)]
    [InlineData(float.MaxValue)]
    public void A_q8_scale_that_is_negative_or_overflows_is_refused(float scale)
    {
        byte[] payload = new byte[4 + 8];
        BitConverter.TryWriteBytes(payload, scale);
        Assert.False(ActivationCodec.TryDecode(WireType.Q8, payload, 8, new float[8], out int badRow));
        Assert.Equal(0, badRow);
    }

    [Fact]
    public void A_payload_of_the_wrong_length_is_refused_and_a_bug_throws()
    {
        Assert.False(ActivationCodec.TryDecode(WireType.F32, new byte[15], 4, new float[4], out int badRow));
        Assert.Equal(-1, badRow);
        Assert.False(ActivationCodec.TryDecode(WireType.F32, new byte[32], 4, new float[4], out _));
        Assert.Throws<ArgumentException>(() => ActivationCodec.TryDecode(WireType.F32, new byte[16], 4, new float[5], out _));
        Assert.Throws<ArgumentException>(() => ActivationCodec.TryEncode(WireType.F16, new float[4], 4, new byte[7], out _));
    }

    private static string Encode(WireType type, float[] rows, int hiddenSize)
    {
        byte[] payload = new byte[rows.Length / hiddenSize * ActivationCodec.RowBytes(type, hiddenSize)];
        Assert.True(ActivationCodec.TryEncode(type, rows, hiddenSize, payload, out int badRow));
        Assert.Equal(-1, badRow);
        return Convert.ToHexString(payload);
    }
}
