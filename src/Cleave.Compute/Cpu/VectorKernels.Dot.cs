using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

/// <summary>Products of a few rows with weights read in place: up to four rows by four outputs, five and six by two, seven and eight by three.</summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    /// <summary>Numbers every reader takes at once.</summary>
    private const int ReaderBlock = 32;

    /// <summary>
    /// How many rows further on the products of five and six rows ask for, two at a time and more slowly than one row goes by (measured in BF16
    /// at eight rows by two outputs: 8 ahead lose 4 %, 2 lose 10 %).
    /// </summary>
    private const int PairRowsAhead = 4;

    public override int MostDotRows(ElementType type, int k)
    {
        bool readable = type is ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0;
        return !readable || k % ReaderBlock != 0 ? 0 : TLanes.Registers >= 32 ? 16 : 1;
    }

    public override void Dot(
        ElementType type, float* x, int rows, byte* weights, long rowBytes, int outputs, int k, float* y, long yStride, float* carry, TilePart part)
    {
        switch (type)
        {
            case ElementType.F32:
                Dot<F32Reader>(x, rows, weights, rowBytes, outputs, k, y, (nint)yStride, carry, part);
                break;
            case ElementType.F16:
                Dot<F16Reader>(x, rows, weights, rowBytes, outputs, k, y, (nint)yStride, carry, part);
                break;
            case ElementType.BF16:
                Dot<BF16Reader>(x, rows, weights, rowBytes, outputs, k, y, (nint)yStride, carry, part);
                break;
            case ElementType.Q8_0:
                Dot<Q8Reader>(x, rows, weights, rowBytes, outputs, k, y, (nint)yStride, carry, part);
                break;
            default:
                throw new NotSupportedException($"{type} has no in-place product");
        }
    }

    private static void Dot<TReader>(
        float* x, int rows, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride, float* carry, TilePart part)
        where TReader : struct, IReader
    {
        switch (rows)
        {
            case 1:
                Dot1<TReader>(x, weights, rowBytes, outputs, k, y, yStride);
                break;
            case 2:
                Dot2<TReader>(x, weights, rowBytes, outputs, k, y, yStride);
                break;
            case 3:
                Dot3<TReader>(x, weights, rowBytes, outputs, k, y, yStride);
                break;
            case 4:
                Dot4<TReader>(x, weights, rowBytes, outputs, k, y, yStride);
                break;
            case 5:
                Dot5<TReader>(x, weights, rowBytes, outputs, k, y, yStride, carry, part);
                break;
            case 6:
                Dot6<TReader>(x, weights, rowBytes, outputs, k, y, yStride, carry, part);
                break;
            case 7:
                Dot7<TReader>(x, weights, rowBytes, outputs, k, y, yStride, carry, part);
                break;
            default:
                Dot8<TReader>(x, weights, rowBytes, outputs, k, y, yStride, carry, part);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot1<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        byte* next = weights + (TReader.RowsAhead * rowBytes);
        for (int output = 0; output < outputs; output += 4)
        {
            // The last rows of a weight that is no multiple of four repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            byte* w3 = output + 3 < outputs ? w2 + rowBytes : w2;
            weights += 4 * rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s03 = TLanes.Zero;
            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next, 4);
                TLanes low0 = TLanes.Load(block);
                TLanes high0 = TLanes.Load(block + 16);
                TReader.Read(ref w0, scales, out TLanes low, out TLanes high);
                TLanes.Accumulate(ref s00, low, low0);
                TLanes.Accumulate(ref s00, high, high0);
                TReader.Read(ref w1, scales, out low, out high);
                TLanes.Accumulate(ref s01, low, low0);
                TLanes.Accumulate(ref s01, high, high0);
                TReader.Read(ref w2, scales, out low, out high);
                TLanes.Accumulate(ref s02, low, low0);
                TLanes.Accumulate(ref s02, high, high0);
                TReader.Read(ref w3, scales, out low, out high);
                TLanes.Accumulate(ref s03, low, low0);
                TLanes.Accumulate(ref s03, high, high0);
                block += 1 * ReaderBlock;
            }

            StoreFour(TLanes.Sum4(s00, s01, s02, s03), y, outputs - output);
            y += 4;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot2<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        byte* next = weights + (TReader.RowsAhead * rowBytes);
        for (int output = 0; output < outputs; output += 4)
        {
            // The last rows of a weight that is no multiple of four repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            byte* w3 = output + 3 < outputs ? w2 + rowBytes : w2;
            weights += 4 * rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s03 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s12 = TLanes.Zero;
            TLanes s13 = TLanes.Zero;
            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next, 4);
                TLanes low0 = TLanes.Load(block);
                TLanes high0 = TLanes.Load(block + 32);
                TLanes low1 = TLanes.Load(block + 16);
                TLanes high1 = TLanes.Load(block + 48);
                TReader.Read(ref w0, scales, out TLanes low, out TLanes high);
                TLanes.Accumulate(ref s00, low, low0);
                TLanes.Accumulate(ref s10, low, low1);
                TLanes.Accumulate(ref s00, high, high0);
                TLanes.Accumulate(ref s10, high, high1);
                TReader.Read(ref w1, scales, out low, out high);
                TLanes.Accumulate(ref s01, low, low0);
                TLanes.Accumulate(ref s11, low, low1);
                TLanes.Accumulate(ref s01, high, high0);
                TLanes.Accumulate(ref s11, high, high1);
                TReader.Read(ref w2, scales, out low, out high);
                TLanes.Accumulate(ref s02, low, low0);
                TLanes.Accumulate(ref s12, low, low1);
                TLanes.Accumulate(ref s02, high, high0);
                TLanes.Accumulate(ref s12, high, high1);
                TReader.Read(ref w3, scales, out low, out high);
                TLanes.Accumulate(ref s03, low, low0);
                TLanes.Accumulate(ref s13, low, low1);
                TLanes.Accumulate(ref s03, high, high0);
                TLanes.Accumulate(ref s13, high, high1);
                block += 2 * ReaderBlock;
            }

            StoreFour(TLanes.Sum4(s00, s01, s02, s03), y, outputs - output);
            StoreFour(TLanes.Sum4(s10, s11, s12, s13), y + yStride, outputs - output);
            y += 4;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot3<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        byte* next = weights + (TReader.RowsAhead * rowBytes);
        for (int output = 0; output < outputs; output += 4)
        {
            // The last rows of a weight that is no multiple of four repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            byte* w3 = output + 3 < outputs ? w2 + rowBytes : w2;
            weights += 4 * rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s03 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s12 = TLanes.Zero;
            TLanes s13 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s22 = TLanes.Zero;
            TLanes s23 = TLanes.Zero;
            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next, 4);
                TLanes low0 = TLanes.Load(block);
                TLanes high0 = TLanes.Load(block + 48);
                TLanes low1 = TLanes.Load(block + 16);
                TLanes high1 = TLanes.Load(block + 64);
                TLanes low2 = TLanes.Load(block + 32);
                TLanes high2 = TLanes.Load(block + 80);
                TReader.Read(ref w0, scales, out TLanes low, out TLanes high);
                TLanes.Accumulate(ref s00, low, low0);
                TLanes.Accumulate(ref s10, low, low1);
                TLanes.Accumulate(ref s20, low, low2);
                TLanes.Accumulate(ref s00, high, high0);
                TLanes.Accumulate(ref s10, high, high1);
                TLanes.Accumulate(ref s20, high, high2);
                TReader.Read(ref w1, scales, out low, out high);
                TLanes.Accumulate(ref s01, low, low0);
                TLanes.Accumulate(ref s11, low, low1);
                TLanes.Accumulate(ref s21, low, low2);
                TLanes.Accumulate(ref s01, high, high0);
                TLanes.Accumulate(ref s11, high, high1);
                TLanes.Accumulate(ref s21, high, high2);
                TReader.Read(ref w2, scales, out low, out high);
                TLanes.Accumulate(ref s02, low, low0);
                TLanes.Accumulate(ref s12, low, low1);
                TLanes.Accumulate(ref s22, low, low2);
                TLanes.Accumulate(ref s02, high, high0);
                TLanes.Accumulate(ref s12, high, high1);
                TLanes.Accumulate(ref s22, high, high2);
                TReader.Read(ref w3, scales, out low, out high);
                TLanes.Accumulate(ref s03, low, low0);
                TLanes.Accumulate(ref s13, low, low1);
                TLanes.Accumulate(ref s23, low, low2);
                TLanes.Accumulate(ref s03, high, high0);
                TLanes.Accumulate(ref s13, high, high1);
                TLanes.Accumulate(ref s23, high, high2);
                block += 3 * ReaderBlock;
            }

            StoreFour(TLanes.Sum4(s00, s01, s02, s03), y, outputs - output);
            StoreFour(TLanes.Sum4(s10, s11, s12, s13), y + yStride, outputs - output);
            StoreFour(TLanes.Sum4(s20, s21, s22, s23), y + (2 * yStride), outputs - output);
            y += 4;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot4<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        byte* next = weights + (TReader.RowsAhead * rowBytes);
        for (int output = 0; output < outputs; output += 4)
        {
            // The last rows of a weight that is no multiple of four repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            byte* w3 = output + 3 < outputs ? w2 + rowBytes : w2;
            weights += 4 * rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s03 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s12 = TLanes.Zero;
            TLanes s13 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s22 = TLanes.Zero;
            TLanes s23 = TLanes.Zero;
            TLanes s30 = TLanes.Zero;
            TLanes s31 = TLanes.Zero;
            TLanes s32 = TLanes.Zero;
            TLanes s33 = TLanes.Zero;
            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next, 4);
                TLanes low0 = TLanes.Load(block);
                TLanes high0 = TLanes.Load(block + 64);
                TLanes low1 = TLanes.Load(block + 16);
                TLanes high1 = TLanes.Load(block + 80);
                TLanes low2 = TLanes.Load(block + 32);
                TLanes high2 = TLanes.Load(block + 96);
                TLanes low3 = TLanes.Load(block + 48);
                TLanes high3 = TLanes.Load(block + 112);
                TReader.Read(ref w0, scales, out TLanes low, out TLanes high);
                TLanes.Accumulate(ref s00, low, low0);
                TLanes.Accumulate(ref s10, low, low1);
                TLanes.Accumulate(ref s20, low, low2);
                TLanes.Accumulate(ref s30, low, low3);
                TLanes.Accumulate(ref s00, high, high0);
                TLanes.Accumulate(ref s10, high, high1);
                TLanes.Accumulate(ref s20, high, high2);
                TLanes.Accumulate(ref s30, high, high3);
                TReader.Read(ref w1, scales, out low, out high);
                TLanes.Accumulate(ref s01, low, low0);
                TLanes.Accumulate(ref s11, low, low1);
                TLanes.Accumulate(ref s21, low, low2);
                TLanes.Accumulate(ref s31, low, low3);
                TLanes.Accumulate(ref s01, high, high0);
                TLanes.Accumulate(ref s11, high, high1);
                TLanes.Accumulate(ref s21, high, high2);
                TLanes.Accumulate(ref s31, high, high3);
                TReader.Read(ref w2, scales, out low, out high);
                TLanes.Accumulate(ref s02, low, low0);
                TLanes.Accumulate(ref s12, low, low1);
                TLanes.Accumulate(ref s22, low, low2);
                TLanes.Accumulate(ref s32, low, low3);
                TLanes.Accumulate(ref s02, high, high0);
                TLanes.Accumulate(ref s12, high, high1);
                TLanes.Accumulate(ref s22, high, high2);
                TLanes.Accumulate(ref s32, high, high3);
                TReader.Read(ref w3, scales, out low, out high);
                TLanes.Accumulate(ref s03, low, low0);
                TLanes.Accumulate(ref s13, low, low1);
                TLanes.Accumulate(ref s23, low, low2);
                TLanes.Accumulate(ref s33, low, low3);
                TLanes.Accumulate(ref s03, high, high0);
                TLanes.Accumulate(ref s13, high, high1);
                TLanes.Accumulate(ref s23, high, high2);
                TLanes.Accumulate(ref s33, high, high3);
                block += 4 * ReaderBlock;
            }

            StoreFour(TLanes.Sum4(s00, s01, s02, s03), y, outputs - output);
            StoreFour(TLanes.Sum4(s10, s11, s12, s13), y + yStride, outputs - output);
            StoreFour(TLanes.Sum4(s20, s21, s22, s23), y + (2 * yStride), outputs - output);
            StoreFour(TLanes.Sum4(s30, s31, s32, s33), y + (3 * yStride), outputs - output);
            y += 4;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour(Vector128<float> sums, float* y, int count)
    {
        if (count >= 4)
        {
            sums.Store(y);
            return;
        }

        for (int i = 0; i < count; i++)
        {
            y[i] = sums[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePairs(float* sums, int rows, float* y, nint yStride, int count)
    {
        for (int row = 0; row < rows; row++)
        {
            if (count >= 2)
            {
                *(long*)y = *(long*)sums;
            }
            else
            {
                *y = *sums;
            }

            sums += 2;
            y += yStride;
        }
    }

    /// <summary>
    /// Asks for the bytes of a group of rows' next blocks, a group or two ahead: measured, a third of the time of one row's product
    /// on weights beyond the caches, which rows of some hundred bytes are too short for the hardware to foresee.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ask<TReader>(ref byte* next, int rows)
        where TReader : struct, IReader
    {
        for (int line = 0; line < rows * TReader.Bytes; line += 64)
        {
            TLanes.Prefetch(next + line);
        }

        next += rows * TReader.Bytes;
    }
}
