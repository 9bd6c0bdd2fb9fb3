using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>Random stored matrices with small scales, in memory of their own.</summary>
internal static unsafe class RandomWeights
{
    public static TensorData Create(ElementType type, int outputs, int inputs, int seed = 1)
    {
        long bytes = type.RowBytes(inputs) * outputs;
        var memory = new Memory(bytes);
        var random = new Random(seed);
        for (long at = 0; at < bytes; at += 1 << 24)
        {
            random.NextBytes(new Span<byte>(memory.Pointer + at, (int)Math.Min(1 << 24, bytes - at)));
        }

        int block = type.BlockBytes();
        for (long at = 0; at < bytes; at += block)
        {
            switch (type)
            {
                case ElementType.F32:
                    *(float*)(memory.Pointer + at) = memory.Pointer[at] / 2560f;
                    break;
                case ElementType.F16:
                    *(Half*)(memory.Pointer + at) = (Half)(memory.Pointer[at] / 2560f);
                    break;
                case ElementType.BF16:
                    *(ushort*)(memory.Pointer + at) = (ushort)(0x3c00 + memory.Pointer[at]);
                    break;
                default:
                    *(Half*)(memory.Pointer + at + (type == ElementType.Q6_K ? 208 : 0)) = (Half)0.001f;
                    if (type is ElementType.Q4_K or ElementType.Q5_K)
                    {
                        *(Half*)(memory.Pointer + at + 2) = (Half)0.001f;
                    }

                    break;
            }
        }

        return new TensorData("random", type, [outputs, inputs], memory.Pointer, bytes, memory);
    }

    /// <summary>BF16 numbers distributed as in a trained matrix: normal, of deviation 0.02, rounded to even.</summary>
    public static TensorData CreateGaussian(int outputs, int inputs, int seed = 1)
    {
        long bytes = ElementType.BF16.RowBytes(inputs) * outputs;
        var memory = new Memory(bytes);
        Parallel.For(0, outputs, output =>
        {
            var random = new Random(HashCode.Combine(seed, output));
            ushort* row = (ushort*)memory.Pointer + ((long)output * inputs);
            for (int i = 0; i < inputs; i += 2)
            {
                float radius = 0.02f * MathF.Sqrt(-2 * MathF.Log(1 - random.NextSingle()));
                (float sin, float cos) = MathF.SinCos(2 * MathF.PI * random.NextSingle());
                row[i] = Rounded(radius * cos);
                if (i + 1 < inputs)
                {
                    row[i + 1] = Rounded(radius * sin);
                }
            }
        });
        return new TensorData("gaussian", ElementType.BF16, [outputs, inputs], memory.Pointer, bytes, memory);

        static ushort Rounded(float value)
        {
            uint bits = BitConverter.SingleToUInt32Bits(value);
            return (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }

    // In huge pages, as a mapped model file asks for too.
    private sealed class Memory
    {
        public Memory(long bytes)
        {
            Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, HugePages.Size);
            HugePages.Advise(Pointer, bytes);
        }

        public byte* Pointer { get; }

        ~Memory() => NativeMemory.AlignedFree(Pointer);
    }
}
