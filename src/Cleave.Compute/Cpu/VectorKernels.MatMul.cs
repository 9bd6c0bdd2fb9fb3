using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

internal sealed unsafe partial class VectorKernels<TLanes>
{
    private const int Q8Block = 32;
    private const int Q8Bytes = 34;

    public override bool HasDot(ElementType type) =>
        type is ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0;

    public override void Dot(ElementType type, float* x, byte* weights, long rowBytes, int outputs, int k, float* y)
    {
        switch (type)
        {
            case ElementType.F32:
                Dot<F32Reader>(x, weights, rowBytes, outputs, k, y);
                break;
            case ElementType.F16:
                Dot<F16Reader>(x, weights, rowBytes, outputs, k, y);
                break;
            case ElementType.BF16:
                Dot<BF16Reader>(x, weights, rowBytes, outputs, k, y);
                break;
            case ElementType.Q8_0:
                DotQ8(x, weights, rowBytes, outputs, k, y);
                break;
            default:
                throw new NotSupportedException($"{type} has no in-place product");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Unpack(ElementType type, byte* source, float* destination, int count)
    {
        switch (type)
        {
            case ElementType.F32:
                Unsafe.CopyBlockUnaligned(destination, source, (uint)count * sizeof(float));
                break;
            case ElementType.F16 when count >= Lanes:
                UnpackPlain<F16Reader>(type, source, destination, count);
                break;
            case ElementType.BF16 when count >= Lanes:
                UnpackPlain<BF16Reader>(type, source, destination, count);
                break;
            case ElementType.Q8_0:
                for (int start = 0; start < count; start += Q8Block)
                {
                    TLanes scale = TLanes.Broadcast(QuantBlocks.F16(*(ushort*)source));
                    TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 2), scale), destination + start);
                    TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 18), scale), destination + start + Lanes);
                    source += Q8Bytes;
                }

                break;
            default:
                QuantBlocks.Unpack(type, source, destination, count);
                break;
        }
    }

    public override void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride)
    {
        float* sums = stackalloc float[4 * 8];
        while (rows > 0)
        {
            // Even tiles: 5 rows are 3 and 2, not 4 and 1.
            int limit = TLanes.WideTiles ? 4 : 2;
            int tiles = (rows + limit - 1) / limit;
            int count = (rows + tiles - 1) / tiles;
            if (TLanes.WideTiles)
            {
                switch (count)
                {
                    case 4:
                        Tile4x6(x, x + xStride, x + (2 * xStride), x + (3 * xStride), panel, k, sums);
                        break;
                    case 3:
                        Tile3x6(x, x + xStride, x + (2 * xStride), panel, k, sums);
                        break;
                    case 2:
                        Tile2x6(x, x + xStride, panel, k, sums);
                        break;
                    default:
                        Tile1x6(x, panel, k, sums);
                        break;
                }
            }
            else
            {
                for (int part = 0; part < PanelOutputs; part += 3)
                {
                    if (count == 2)
                    {
                        Tile2x3(x, x + xStride, panel + ((long)part * k), k, sums + part);
                    }
                    else
                    {
                        Tile1x3(x, panel + ((long)part * k), k, sums + part);
                    }
                }
            }

            for (int row = 0; row < count; row++)
            {
                Copy(sums + (8 * row), y, outputs);
                y += yStride;
            }

            x += count * xStride;
            rows -= count;
        }
    }

    /// <summary>Four outputs at a time, read in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot<TReader>(float* x, byte* weights, long rowBytes, int outputs, int k, float* y)
        where TReader : struct, IReader
    {
        int output = 0;
        for (; output + 4 <= outputs; output += 4)
        {
            byte* w0 = weights + (output * rowBytes);
            byte* w1 = w0 + rowBytes;
            byte* w2 = w1 + rowBytes;
            byte* w3 = w2 + rowBytes;
            TLanes a0 = TLanes.Zero;
            TLanes a1 = TLanes.Zero;
            TLanes a2 = TLanes.Zero;
            TLanes a3 = TLanes.Zero;
            for (int i = 0; i < k; i += Lanes)
            {
                TLanes value = TLanes.Load(x + i);
                a0 = TLanes.Fma(TReader.Read(w0, i), value, a0);
                a1 = TLanes.Fma(TReader.Read(w1, i), value, a1);
                a2 = TLanes.Fma(TReader.Read(w2, i), value, a2);
                a3 = TLanes.Fma(TReader.Read(w3, i), value, a3);
            }

            TLanes.Sum4(a0, a1, a2, a3).Store(y + output);
        }

        for (; output < outputs; output++)
        {
            byte* row = weights + (output * rowBytes);
            TLanes sum = TLanes.Zero;
            for (int i = 0; i < k; i += Lanes)
            {
                sum = TLanes.Fma(TReader.Read(row, i), TLanes.Load(x + i), sum);
            }

            y[output] = TLanes.Sum(sum);
        }
    }

    /// <summary>As <see cref="Dot{TReader}"/>, block by block: w = q · scale is exact, so this is a float32 product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotQ8(float* x, byte* weights, long rowBytes, int outputs, int k, float* y)
    {
        int output = 0;
        for (; output + 4 <= outputs; output += 4)
        {
            byte* w0 = weights + (output * rowBytes);
            byte* w1 = w0 + rowBytes;
            byte* w2 = w1 + rowBytes;
            byte* w3 = w2 + rowBytes;
            TLanes a0 = TLanes.Zero;
            TLanes a1 = TLanes.Zero;
            TLanes a2 = TLanes.Zero;
            TLanes a3 = TLanes.Zero;
            for (int i = 0; i < k; i += Q8Block)
            {
                TLanes low = TLanes.Load(x + i);
                TLanes high = TLanes.Load(x + i + Lanes);
                a0 = FmaQ8(w0, low, high, a0);
                a1 = FmaQ8(w1, low, high, a1);
                a2 = FmaQ8(w2, low, high, a2);
                a3 = FmaQ8(w3, low, high, a3);
                w0 += Q8Bytes;
                w1 += Q8Bytes;
                w2 += Q8Bytes;
                w3 += Q8Bytes;
            }

            TLanes.Sum4(a0, a1, a2, a3).Store(y + output);
        }

        for (; output < outputs; output++)
        {
            byte* row = weights + (output * rowBytes);
            TLanes sum = TLanes.Zero;
            for (int i = 0; i < k; i += Q8Block)
            {
                sum = FmaQ8(row, TLanes.Load(x + i), TLanes.Load(x + i + Lanes), sum);
                row += Q8Bytes;
            }

            y[output] = TLanes.Sum(sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes FmaQ8(byte* block, TLanes low, TLanes high, TLanes sum)
    {
        TLanes scale = TLanes.Broadcast(QuantBlocks.F16(*(ushort*)block));
        sum = TLanes.Fma(TLanes.Multiply(TLanes.LoadI8((sbyte*)block + 2), scale), low, sum);
        return TLanes.Fma(TLanes.Multiply(TLanes.LoadI8((sbyte*)block + 18), scale), high, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackPlain<TReader>(ElementType type, byte* source, float* destination, int count)
        where TReader : struct, IReader
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            TLanes.Store(TReader.Read(source, i), destination + i);
        }

        QuantBlocks.Unpack(type, source + (2 * i), destination + i, count - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4x6(float* x0, float* x1, float* x2, float* x3, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        float* w3 = panel + (3L * k);
        float* w4 = panel + (4L * k);
        float* w5 = panel + (5L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        TLanes s03 = TLanes.Zero;
        TLanes s04 = TLanes.Zero;
        TLanes s05 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        TLanes s12 = TLanes.Zero;
        TLanes s13 = TLanes.Zero;
        TLanes s14 = TLanes.Zero;
        TLanes s15 = TLanes.Zero;
        TLanes s20 = TLanes.Zero;
        TLanes s21 = TLanes.Zero;
        TLanes s22 = TLanes.Zero;
        TLanes s23 = TLanes.Zero;
        TLanes s24 = TLanes.Zero;
        TLanes s25 = TLanes.Zero;
        TLanes s30 = TLanes.Zero;
        TLanes s31 = TLanes.Zero;
        TLanes s32 = TLanes.Zero;
        TLanes s33 = TLanes.Zero;
        TLanes s34 = TLanes.Zero;
        TLanes s35 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes v2 = TLanes.Load(x2 + i);
            TLanes v3 = TLanes.Load(x3 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            s10 = TLanes.Fma(w, v1, s10);
            s20 = TLanes.Fma(w, v2, s20);
            s30 = TLanes.Fma(w, v3, s30);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            s11 = TLanes.Fma(w, v1, s11);
            s21 = TLanes.Fma(w, v2, s21);
            s31 = TLanes.Fma(w, v3, s31);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
            s12 = TLanes.Fma(w, v1, s12);
            s22 = TLanes.Fma(w, v2, s22);
            s32 = TLanes.Fma(w, v3, s32);
            w = TLanes.Load(w3 + i);
            s03 = TLanes.Fma(w, v0, s03);
            s13 = TLanes.Fma(w, v1, s13);
            s23 = TLanes.Fma(w, v2, s23);
            s33 = TLanes.Fma(w, v3, s33);
            w = TLanes.Load(w4 + i);
            s04 = TLanes.Fma(w, v0, s04);
            s14 = TLanes.Fma(w, v1, s14);
            s24 = TLanes.Fma(w, v2, s24);
            s34 = TLanes.Fma(w, v3, s34);
            w = TLanes.Load(w5 + i);
            s05 = TLanes.Fma(w, v0, s05);
            s15 = TLanes.Fma(w, v1, s15);
            s25 = TLanes.Fma(w, v2, s25);
            s35 = TLanes.Fma(w, v3, s35);
        }

        TLanes.Sum4(s00, s01, s02, s03).Store(sums);
        TLanes.Sum4(s10, s11, s12, s13).Store(sums + 8);
        TLanes.Sum4(s20, s21, s22, s23).Store(sums + 16);
        TLanes.Sum4(s30, s31, s32, s33).Store(sums + 24);
        Vector128<float> rest0 = TLanes.Sum4(s04, s05, s14, s15);
        rest0.GetLower().Store(sums + 4);
        rest0.GetUpper().Store(sums + 12);
        Vector128<float> rest2 = TLanes.Sum4(s24, s25, s34, s35);
        rest2.GetLower().Store(sums + 20);
        rest2.GetUpper().Store(sums + 28);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile3x6(float* x0, float* x1, float* x2, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        float* w3 = panel + (3L * k);
        float* w4 = panel + (4L * k);
        float* w5 = panel + (5L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        TLanes s03 = TLanes.Zero;
        TLanes s04 = TLanes.Zero;
        TLanes s05 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        TLanes s12 = TLanes.Zero;
        TLanes s13 = TLanes.Zero;
        TLanes s14 = TLanes.Zero;
        TLanes s15 = TLanes.Zero;
        TLanes s20 = TLanes.Zero;
        TLanes s21 = TLanes.Zero;
        TLanes s22 = TLanes.Zero;
        TLanes s23 = TLanes.Zero;
        TLanes s24 = TLanes.Zero;
        TLanes s25 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes v2 = TLanes.Load(x2 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            s10 = TLanes.Fma(w, v1, s10);
            s20 = TLanes.Fma(w, v2, s20);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            s11 = TLanes.Fma(w, v1, s11);
            s21 = TLanes.Fma(w, v2, s21);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
            s12 = TLanes.Fma(w, v1, s12);
            s22 = TLanes.Fma(w, v2, s22);
            w = TLanes.Load(w3 + i);
            s03 = TLanes.Fma(w, v0, s03);
            s13 = TLanes.Fma(w, v1, s13);
            s23 = TLanes.Fma(w, v2, s23);
            w = TLanes.Load(w4 + i);
            s04 = TLanes.Fma(w, v0, s04);
            s14 = TLanes.Fma(w, v1, s14);
            s24 = TLanes.Fma(w, v2, s24);
            w = TLanes.Load(w5 + i);
            s05 = TLanes.Fma(w, v0, s05);
            s15 = TLanes.Fma(w, v1, s15);
            s25 = TLanes.Fma(w, v2, s25);
        }

        TLanes.Sum4(s00, s01, s02, s03).Store(sums);
        TLanes.Sum4(s10, s11, s12, s13).Store(sums + 8);
        TLanes.Sum4(s20, s21, s22, s23).Store(sums + 16);
        Vector128<float> rest0 = TLanes.Sum4(s04, s05, s14, s15);
        rest0.GetLower().Store(sums + 4);
        rest0.GetUpper().Store(sums + 12);
        sums[20] = TLanes.Sum(s24);
        sums[21] = TLanes.Sum(s25);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile2x6(float* x0, float* x1, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        float* w3 = panel + (3L * k);
        float* w4 = panel + (4L * k);
        float* w5 = panel + (5L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        TLanes s03 = TLanes.Zero;
        TLanes s04 = TLanes.Zero;
        TLanes s05 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        TLanes s12 = TLanes.Zero;
        TLanes s13 = TLanes.Zero;
        TLanes s14 = TLanes.Zero;
        TLanes s15 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            s10 = TLanes.Fma(w, v1, s10);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            s11 = TLanes.Fma(w, v1, s11);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
            s12 = TLanes.Fma(w, v1, s12);
            w = TLanes.Load(w3 + i);
            s03 = TLanes.Fma(w, v0, s03);
            s13 = TLanes.Fma(w, v1, s13);
            w = TLanes.Load(w4 + i);
            s04 = TLanes.Fma(w, v0, s04);
            s14 = TLanes.Fma(w, v1, s14);
            w = TLanes.Load(w5 + i);
            s05 = TLanes.Fma(w, v0, s05);
            s15 = TLanes.Fma(w, v1, s15);
        }

        TLanes.Sum4(s00, s01, s02, s03).Store(sums);
        TLanes.Sum4(s10, s11, s12, s13).Store(sums + 8);
        Vector128<float> rest0 = TLanes.Sum4(s04, s05, s14, s15);
        rest0.GetLower().Store(sums + 4);
        rest0.GetUpper().Store(sums + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x6(float* x0, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        float* w3 = panel + (3L * k);
        float* w4 = panel + (4L * k);
        float* w5 = panel + (5L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        TLanes s03 = TLanes.Zero;
        TLanes s04 = TLanes.Zero;
        TLanes s05 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
            w = TLanes.Load(w3 + i);
            s03 = TLanes.Fma(w, v0, s03);
            w = TLanes.Load(w4 + i);
            s04 = TLanes.Fma(w, v0, s04);
            w = TLanes.Load(w5 + i);
            s05 = TLanes.Fma(w, v0, s05);
        }

        TLanes.Sum4(s00, s01, s02, s03).Store(sums);
        sums[4] = TLanes.Sum(s04);
        sums[5] = TLanes.Sum(s05);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile2x3(float* x0, float* x1, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        TLanes s12 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            s10 = TLanes.Fma(w, v1, s10);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            s11 = TLanes.Fma(w, v1, s11);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
            s12 = TLanes.Fma(w, v1, s12);
        }

        sums[0] = TLanes.Sum(s00);
        sums[1] = TLanes.Sum(s01);
        sums[2] = TLanes.Sum(s02);
        sums[8] = TLanes.Sum(s10);
        sums[9] = TLanes.Sum(s11);
        sums[10] = TLanes.Sum(s12);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x3(float* x0, float* panel, int k, float* sums)
    {
        float* w1 = panel + k;
        float* w2 = panel + (2L * k);
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s02 = TLanes.Zero;
        for (int i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes w = TLanes.Load(panel + i);
            s00 = TLanes.Fma(w, v0, s00);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            w = TLanes.Load(w2 + i);
            s02 = TLanes.Fma(w, v0, s02);
        }

        sums[0] = TLanes.Sum(s00);
        sums[1] = TLanes.Sum(s01);
        sums[2] = TLanes.Sum(s02);
    }

    private interface IReader
    {
        static abstract TLanes Read(byte* row, int index);
    }

    private readonly struct F32Reader : IReader
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TLanes Read(byte* row, int index) => TLanes.Load((float*)row + index);
    }

    private readonly struct F16Reader : IReader
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TLanes Read(byte* row, int index) => TLanes.LoadF16((ushort*)row + index);
    }

    private readonly struct BF16Reader : IReader
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TLanes Read(byte* row, int index) => TLanes.LoadBF16((ushort*)row + index);
    }
}
