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
