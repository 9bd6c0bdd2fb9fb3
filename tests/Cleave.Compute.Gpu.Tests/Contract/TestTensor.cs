using System.Runtime.InteropServices;

namespace Cleave.Compute.Gpu.Contract;

/// <summary>A random tensor in native memory with its decoded numbers, decoded here independently of the code under test.</summary>
internal sealed unsafe class TestTensor
{
    private readonly byte[] _bytes;
    private readonly GCHandle _handle;

    public TestTensor(ElementType type, int rows, int columns, Random random)
    {
        Values = new double[rows * columns];
        _bytes = new byte[checked((int)(type.RowBytes(columns) * rows))];
        int block = type.BlockLength();
        int blockBytes = type.BlockBytes();
        var numbers = new double[block];
        for (int i = 0; i < Values.Length / block; i++)
        {
            Encode(type, _bytes.AsSpan(i * blockBytes, blockBytes), numbers, random);
            numbers.CopyTo(Values, i * block);
        }

        _handle = GCHandle.Alloc(_bytes, GCHandleType.Pinned);
        Data = new TensorData("test", type, [rows, columns], (byte*)_handle.AddrOfPinnedObject(), _bytes.Length, this);
    }

    ~TestTensor() => _handle.Free();

    public double[] Values { get; }

    public TensorData Data { get; }

    private static void Encode(ElementType type, Span<byte> bytes, double[] numbers, Random random)
    {
        switch (type)
        {
            case ElementType.F32:
                float single = Number(random);
                BitConverter.TryWriteBytes(bytes, single);
                numbers[0] = single;
                return;
            case ElementType.F16:
                var half = (Half)Number(random);
                BitConverter.TryWriteBytes(bytes, half);
                numbers[0] = (double)half;
                return;
            case ElementType.BF16:
                uint bits = BitConverter.SingleToUInt32Bits(Number(random)) & 0xFFFF0000;
                BitConverter.TryWriteBytes(bytes, (ushort)(bits >> 16));
                numbers[0] = BitConverter.UInt32BitsToSingle(bits);
                return;
            default:
                random.NextBytes(bytes);
                break;
        }

        double d;
        switch (type)
        {
            case ElementType.Q8_0:
                d = Scale(bytes, 0.003f, random);
                for (int i = 0; i < 32; i++)
                {
                    numbers[i] = d * (sbyte)bytes[2 + i];
                }

                break;
            case ElementType.Q4_0:
                d = Scale(bytes, 0.03f, random);
                for (int i = 0; i < 16; i++)
                {
                    numbers[i] = d * ((bytes[2 + i] & 15) - 8);
                    numbers[i + 16] = d * ((bytes[2 + i] >> 4) - 8);
                }

                break;
            case ElementType.Q4_K:
            case ElementType.Q5_K:
                d = Scale(bytes, 0.0008f, random);
                double minimum = Scale(bytes[2..], 0.004f, random);
                int quants = type == ElementType.Q4_K ? 16 : 48;
                for (int sub = 0; sub < 8; sub++)
                {
                    ReadOnlySpan<byte> packed = bytes[4..];
                    int scale = sub < 4 ? packed[sub] & 63 : (packed[sub + 4] & 15) | (packed[sub - 4] >> 6 << 4);
                    int min = sub < 4 ? packed[sub + 4] & 63 : (packed[sub + 4] >> 4) | (packed[sub] >> 6 << 4);
                    for (int i = 0; i < 32; i++)
                    {
                        int q = (bytes[quants + (sub / 2 * 32) + i] >> (4 * (sub % 2))) & 15;
                        if (type == ElementType.Q5_K)
                        {
                            q |= ((bytes[16 + i] >> sub) & 1) << 4;
                        }

                        numbers[(sub * 32) + i] = (d * scale * q) - (minimum * min);
                    }
                }

                break;
            case ElementType.Q6_K:
                d = Scale(bytes[208..], 0.0002f, random);
                for (int i = 0; i < 256; i++)
                {
                    int half = i / 128;
                    int run = i % 128 / 32;
                    int j = i % 32;
                    int low = (bytes[(half * 64) + (run % 2 * 32) + j] >> (run / 2 * 4)) & 15;
                    int high = (bytes[128 + (half * 32) + j] >> (2 * run)) & 3;
                    numbers[i] = d * (sbyte)bytes[192 + (i / 16)] * ((low | (high << 4)) - 32);
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type));
        }
    }

    private static float Number(Random random) => (float)((random.NextDouble() - 0.5) * 0.6);

    private static double Scale(Span<byte> bytes, float around, Random random)
    {
        var scale = (Half)(around * (0.5 + random.NextDouble()));
        BitConverter.TryWriteBytes(bytes, scale);
        return (double)scale;
    }
}
