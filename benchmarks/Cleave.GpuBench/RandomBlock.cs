using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.GpuBench;

/// <summary>
/// One block of random numbers in host memory that weights of any shape are cut from, at different places: dense random data (zeros flatter
/// a GPU) without the time and memory of making a whole model of it.
/// </summary>
internal sealed unsafe class RandomBlock : IDisposable
{
    private readonly long _bytes;
    private readonly byte* _memory;
    private readonly ElementType _type;
    private long _at;

    public RandomBlock(ElementType type, long bytes)
    {
        _type = type;
        _bytes = bytes;
        _memory = (byte*)NativeMemory.Alloc((nuint)bytes);
        int block = type.BlockBytes();
        Parallel.For(0, 64, part =>
        {
            var random = new Random(part);
            long first = bytes / block / 64 * part * block;
            long last = part == 63 ? bytes : bytes / block / 64 * (part + 1) * block;
            for (long at = first; at < last; at += 1 << 20)
            {
                var span = new Span<byte>(_memory + at, (int)Math.Min(1 << 20, last - at));
                random.NextBytes(span);
            }

            for (long at = first; at + block <= last; at += block)
            {
                switch (type)
                {
                    case ElementType.BF16:
                        // Sign and mantissa random, exponent for magnitudes of about 0.02.
                        *(ushort*)(_memory + at) = (ushort)((*(ushort*)(_memory + at) & 0x81FF) | 0x3C00);
                        break;
                    case ElementType.F16:
                        *(ushort*)(_memory + at) = (ushort)((*(ushort*)(_memory + at) & 0x8FFF) | 0x2000);
                        break;
                    case ElementType.Q8_0:
                        *(Half*)(_memory + at) = (Half)0.0002f;
                        break;
                    case ElementType.Q4_K:
                        *(Half*)(_memory + at) = (Half)0.0001f;
                        *(Half*)(_memory + at + 2) = (Half)0.0005f;
                        break;
                    default:
                        throw new NotSupportedException($"{type}");
                }
            }
        });
    }

    public TensorData Matrix(string name, long rows, long columns)
    {
        long bytes = _type.RowBytes(columns) * rows;
        if (bytes > _bytes)
        {
            throw new InvalidOperationException($"{name} takes {bytes} bytes of a block of {_bytes}");
        }

        long unit = _type.BlockBytes() * 128L;
        _at = (_at + (unit * 7919)) % Math.Max(unit, (_bytes - bytes) / unit * unit);
        return new TensorData(name, _type, [rows, columns], _memory + (_at / unit * unit), bytes, this);
    }

    public void Dispose() => NativeMemory.Free(_memory);
}
