using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Blocks of the 4-, 5- and 6-bit types to float32: integers first, as signed bytes in a few registers' worth of stack, then sixteen
/// at a time times their scale. Products are exact, and Q4_K and Q5_K round once, in the subtraction, as <see cref="QuantBlocks"/> does.
/// </summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    private const int SuperBlock = 256;

    /// <summary>Decodes whole blocks and asks for the bytes that lie <paramref name="ahead"/> of those it reads.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackQuants(ElementType type, byte* source, float* destination, int count, long ahead)
    {
        switch (type)
        {
            case ElementType.Q4_0:
                UnpackQ4(source, destination, count, ahead);
                break;
            case ElementType.Q4_K:
                UnpackWithMinima(source, destination, count, ahead, 144, fifthBits: false);
                break;
            case ElementType.Q5_K:
                UnpackWithMinima(source, destination, count, ahead, 176, fifthBits: true);
                break;
            case ElementType.Q6_K:
                UnpackQ6K(source, destination, count, ahead);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of packed integers");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackQ4(byte* source, float* destination, int count, long ahead)
    {
        sbyte* quants = stackalloc sbyte[32];
        float* table = Q8Reader.Scales;
        for (int start = 0; start < count; start += 32)
        {
            TLanes.Prefetch(source + ahead);
            Vector128<byte> packed = Vector128.Load(source + 2);
            ((packed & Vector128.Create((byte)15)).AsSByte() - Vector128.Create((sbyte)8)).Store(quants);
            ((packed >>> 4).AsSByte() - Vector128.Create((sbyte)8)).Store(quants + 16);
            TLanes scale = TLanes.Broadcast(table + *(ushort*)source);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8(quants), scale), destination + start);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8(quants + 16), scale), destination + start + Lanes);
            source += 18;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackWithMinima(byte* source, float* destination, int count, long ahead, int blockBytes, bool fifthBits)
    {
        sbyte* quants = stackalloc sbyte[SuperBlock];
        for (int start = 0; start < count; start += SuperBlock)
        {
            for (int line = 0; line < blockBytes; line += 64)
            {
                TLanes.Prefetch(source + ahead + line);
            }

            byte* nibbles = source + (fifthBits ? 48 : 16);
            Vector256<byte> high = fifthBits ? Vector256.Load(source + 16) : Vector256<byte>.Zero;
            Vector256<byte> fifth = Vector256.Create((byte)16);
            for (int pair = 0; pair < 4; pair++)
            {
                Vector256<byte> packed = Vector256.Load(nibbles + (32 * pair));
                Vector256<byte> first = packed & Vector256.Create((byte)15);
                Vector256<byte> second = packed >>> 4;
                if (fifthBits)
                {
                    // Bit 2·pair and the one above it, each moved to the place of value 16; bits that crossed bytes are masked off.
                    Vector256<ushort> bits = high.AsUInt16();
                    Vector256<ushort> even = pair <= 2 ? bits << (4 - (2 * pair)) : bits >>> 2;
                    Vector256<ushort> odd = pair <= 1 ? bits << (3 - (2 * pair)) : bits >>> ((2 * pair) - 3);
                    first |= even.AsByte() & fifth;
                    second |= odd.AsByte() & fifth;
                }

                first.Store((byte*)quants + (64 * pair));
                second.Store((byte*)quants + (64 * pair) + 32);
            }

            float d = QuantBlocks.F16(*(ushort*)source);
            float dmin = QuantBlocks.F16(*(ushort*)(source + 2));
            for (int sub = 0; sub < 8; sub++)
            {
                QuantBlocks.ScaleAndMinimum(source + 4, sub, out int scale, out int minimum);
                TLanes factor = TLanes.Broadcast(d * scale / TLanes.I8Unit);
                TLanes offset = TLanes.Broadcast(-(dmin * minimum));
                float* numbers = destination + start + (32 * sub);
                TLanes.Store(TLanes.Fma(TLanes.LoadI8(quants + (32 * sub)), factor, offset), numbers);
                TLanes.Store(TLanes.Fma(TLanes.LoadI8(quants + (32 * sub) + 16), factor, offset), numbers + Lanes);
            }

            source += blockBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackQ6K(byte* source, float* destination, int count, long ahead)
    {
        sbyte* quants = stackalloc sbyte[SuperBlock];
        Vector256<byte> low = Vector256.Create((byte)15);
        Vector256<byte> upper = Vector256.Create((byte)0x30);
        Vector256<sbyte> zero = Vector256.Create((sbyte)32);
        for (int start = 0; start < count; start += SuperBlock)
        {
            for (int line = 0; line < 210; line += 64)
            {
                TLanes.Prefetch(source + ahead + line);
            }

            for (int half = 0; half < 2; half++)
            {
                Vector256<byte> a = Vector256.Load(source + (64 * half));
                Vector256<byte> b = Vector256.Load(source + (64 * half) + 32);
                Vector256<ushort> pairs = Vector256.Load(source + 128 + (32 * half)).AsUInt16();
                sbyte* numbers = quants + (128 * half);
                (((a & low) | ((pairs << 4).AsByte() & upper)).AsSByte() - zero).Store(numbers);
                (((b & low) | ((pairs << 2).AsByte() & upper)).AsSByte() - zero).Store(numbers + 32);
                (((a >>> 4) | (pairs.AsByte() & upper)).AsSByte() - zero).Store(numbers + 64);
                (((b >>> 4) | ((pairs >>> 2).AsByte() & upper)).AsSByte() - zero).Store(numbers + 96);
            }

            float d = QuantBlocks.F16(*(ushort*)(source + 208)) / TLanes.I8Unit;
            sbyte* scales = (sbyte*)source + 192;
            for (int group = 0; group < SuperBlock / Lanes; group++)
            {
                TLanes factor = TLanes.Broadcast(d * scales[group]);
                TLanes.Store(TLanes.Multiply(TLanes.LoadI8(quants + (Lanes * group)), factor), destination + start + (Lanes * group));
            }

            source += 210;
        }
    }
}
