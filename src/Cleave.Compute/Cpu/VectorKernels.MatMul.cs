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
                UnpackQ8(source, destination, count);
                break;
            default:
                QuantBlocks.Unpack(type, source, destination, count);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride)
    {
        if (outputs < PanelOutputs)
        {
            TileNarrow(x, xStride, rows, panel, outputs, k, y, yStride);
            return;
        }

        float** w = stackalloc float*[PanelOutputs];
        for (int i = 0; i < PanelOutputs; i++)
        {
            w[i] = panel + ((long)i * k);
        }

        TileWhole(x, (nint)xStride, rows, w, k, y, (nint)yStride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TileWhole(float* x, nint xStride, int rows, float** w, nint k, float* y, nint yStride)
    {
        if (TLanes.TryTile(x, xStride, rows, w, k, y, yStride))
        {
            return;
        }

        for (; rows >= 2; rows -= 2)
        {
            for (int i = 0; i < PanelOutputs; i += 2)
            {
                Tile2x2(x, x + xStride, w[i], w[i + 1], k, y + i, y + yStride + i);
            }

            x += 2 * xStride;
            y += 2 * yStride;
        }

        for (int i = 0; i < PanelOutputs && rows > 0; i += 2)
        {
            Tile1x2(x, w[i], w[i + 1], k, y + i);
        }
    }

    /// <summary>The last outputs of a weight: a whole panel to the side, and what is wanted of it copied.</summary>
    private void TileNarrow(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride)
    {
        const int Rows = 16;
        float* sums = stackalloc float[Rows * PanelOutputs];
        for (int first = 0; first < rows; first += Rows)
        {
            int count = Math.Min(Rows, rows - first);
            Tile(x + (first * xStride), xStride, count, panel, PanelOutputs, k, sums, PanelOutputs);
            for (int row = 0; row < count; row++)
            {
                Copy(sums + (row * PanelOutputs), y + ((first + row) * yStride), outputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackQ8(byte* source, float* destination, int count)
    {
        float* table = QuantBlocks.F16Table;
        for (int start = 0; start < count; start += Q8Block)
        {
            TLanes scale = TLanes.Broadcast(table + *(ushort*)source);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 2), scale), destination + start);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 18), scale), destination + start + Lanes);
            source += Q8Bytes;
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
        float* table = QuantBlocks.F16Table;
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
            byte* next = w3 + rowBytes;
            for (int i = 0; i < k; i += Q8Block)
            {
                TLanes low = TLanes.Load(x + i);
                TLanes high = TLanes.Load(x + i + Lanes);
                System.Runtime.Intrinsics.X86.Sse.Prefetch0(next);
                System.Runtime.Intrinsics.X86.Sse.Prefetch0(next + 64);
                next += 136;
                a0 = FmaQ8(w0, low, high, a0, table);
                a1 = FmaQ8(w1, low, high, a1, table);
                a2 = FmaQ8(w2, low, high, a2, table);
                a3 = FmaQ8(w3, low, high, a3, table);
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
                sum = FmaQ8(row, TLanes.Load(x + i), TLanes.Load(x + i + Lanes), sum, table);
                row += Q8Bytes;
            }

            y[output] = TLanes.Sum(sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes FmaQ8(byte* block, TLanes low, TLanes high, TLanes sum, float* table)
    {
        TLanes scale = TLanes.Broadcast(table + *(ushort*)block);
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
    private static void Tile2x2(float* x0, float* x1, float* w0, float* w1, nint k, float* y0, float* y1)
    {
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        for (nint i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes w = TLanes.Load(w0 + i);
            s00 = TLanes.Fma(w, v0, s00);
            s10 = TLanes.Fma(w, v1, s10);
            w = TLanes.Load(w1 + i);
            s01 = TLanes.Fma(w, v0, s01);
            s11 = TLanes.Fma(w, v1, s11);
        }

        Vector128<float> sums = TLanes.Sum4(s00, s01, s10, s11);
        sums.GetLower().Store(y0);
        sums.GetUpper().Store(y1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x2(float* x, float* w0, float* w1, nint k, float* y)
    {
        TLanes s0 = TLanes.Zero;
        TLanes s1 = TLanes.Zero;
        for (nint i = 0; i < k; i += Lanes)
        {
            TLanes v = TLanes.Load(x + i);
            s0 = TLanes.Fma(TLanes.Load(w0 + i), v, s0);
            s1 = TLanes.Fma(TLanes.Load(w1 + i), v, s1);
        }

        y[0] = TLanes.Sum(s0);
        y[1] = TLanes.Sum(s1);
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
