using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

internal sealed unsafe partial class VectorKernels<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Unpack(ElementType type, byte* source, float* destination, int count)
    {
        switch (type)
        {
            case ElementType.F32:
                Unsafe.CopyBlockUnaligned(destination, source, (uint)count * sizeof(float));
                break;
            case ElementType.F16 when count >= ReaderBlock:
                UnpackPlain<F16Reader>(type, source, destination, count);
                break;
            case ElementType.BF16 when count >= ReaderBlock:
                UnpackPlain<BF16Reader>(type, source, destination, count);
                break;
            case ElementType.Q8_0:
                UnpackQ8(source, destination, count, 0);
                break;
            case ElementType.Q4_0 or ElementType.Q4_K or ElementType.Q5_K or ElementType.Q6_K:
                UnpackQuants(type, source, destination, count, 0);
                break;
            default:
                QuantBlocks.Unpack(type, source, destination, count);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride, float* carry, TilePart part)
    {
        if (outputs < PanelOutputs && (part & TilePart.Pause) == 0)
        {
            TileNarrow(x, xStride, rows, panel, outputs, k, y, yStride, carry, part);
            return;
        }

        float** w = stackalloc float*[PanelOutputs];
        for (int i = 0; i < PanelOutputs; i++)
        {
            w[i] = panel + (i * PanelStride(k));
        }

        TileWhole(x, (nint)xStride, rows, w, k, y, (nint)yStride, carry, part);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TileWhole(float* x, nint xStride, int rows, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
    {
        if (TLanes.TryTile(x, xStride, rows, w, k, y, yStride, carry, part))
        {
            return;
        }

        for (; rows >= 2; rows -= 2)
        {
            for (int i = 0; i < PanelOutputs; i += 2)
            {
                Tile2x2(x, x + xStride, w[i], w[i + 1], k, y + i, y + yStride + i, carry + (i * Lanes), part);
            }

            x += 2 * xStride;
            y += 2 * yStride;
            carry += 2 * CarryFloats;
        }

        for (int i = 0; i < PanelOutputs && rows > 0; i += 2)
        {
            Tile1x2(x, w[i], w[i + 1], k, y + i, carry + (i * Lanes), part);
        }
    }

    /// <summary>The last outputs of a weight: a whole panel to the side, and what is wanted of it copied.</summary>
    private void TileNarrow(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride, float* carry, TilePart part)
    {
        const int Rows = 12;
        float* sums = stackalloc float[Rows * PanelOutputs];
        for (int first = 0; first < rows; first += Rows)
        {
            int count = Math.Min(Rows, rows - first);
            Tile(x + (first * xStride), xStride, count, panel, PanelOutputs, k, sums, PanelOutputs, carry + ((long)first * CarryFloats), part);
            for (int row = 0; row < count; row++)
            {
                Copy(sums + (row * PanelOutputs), y + ((first + row) * yStride), outputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void UnpackPanel(ElementType type, byte* weights, long rowBytes, int outputs, int count, float* panel, int k)
    {
        for (int output = 0; output < outputs; output++)
        {
            if (type == ElementType.Q8_0)
            {
                UnpackQ8(weights, panel, count, PanelOutputs * rowBytes);
            }
            else if (type.BlockLength() > 1)
            {
                UnpackQuants(type, weights, panel, count, PanelOutputs * rowBytes);
            }
            else
            {
                Unpack(type, weights, panel, count);
            }

            if (count < k)
            {
                new Span<float>(panel + count, k - count).Clear();
            }

            weights += rowBytes;
            panel += PanelStride(k);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackQ8(byte* source, float* destination, int count, long ahead)
    {
        float* table = Q8Reader.Scales;
        for (nint i = 0; i < count; i += ReaderBlock)
        {
            TLanes.Prefetch(source + ahead);
            TLanes scale = TLanes.Broadcast(table + *(ushort*)source);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 2), scale), destination + i);
            TLanes.Store(TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 18), scale), destination + i + Lanes);
            source += Q8Reader.Bytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackPlain<TReader>(ElementType type, byte* source, float* destination, int count)
        where TReader : struct, IReader
    {
        int i = 0;
        for (; i + ReaderBlock <= count; i += ReaderBlock)
        {
            TReader.Read(ref source, TReader.Scales, out TLanes low, out TLanes high);
            TLanes.Store(low, destination + i);
            TLanes.Store(high, destination + i + Lanes);
        }

        QuantBlocks.Unpack(type, source, destination + i, count - i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile2x2(float* x0, float* x1, float* w0, float* w1, nint k, float* y0, float* y1, float* carry, TilePart part)
    {
        TLanes s00 = TLanes.Zero;
        TLanes s01 = TLanes.Zero;
        TLanes s10 = TLanes.Zero;
        TLanes s11 = TLanes.Zero;
        if ((part & TilePart.Resume) != 0)
        {
            s00 = TLanes.Load(carry);
            s01 = TLanes.Load(carry + Lanes);
            s10 = TLanes.Load(carry + CarryFloats);
            s11 = TLanes.Load(carry + CarryFloats + Lanes);
        }

        for (nint i = 0; i < k; i += Lanes)
        {
            TLanes v0 = TLanes.Load(x0 + i);
            TLanes v1 = TLanes.Load(x1 + i);
            TLanes w = TLanes.Load(w0 + i);
            TLanes.Accumulate(ref s00, w, v0);
            TLanes.Accumulate(ref s10, w, v1);
            w = TLanes.Load(w1 + i);
            TLanes.Accumulate(ref s01, w, v0);
            TLanes.Accumulate(ref s11, w, v1);
        }

        if ((part & TilePart.Pause) != 0)
        {
            TLanes.Store(s00, carry);
            TLanes.Store(s01, carry + Lanes);
            TLanes.Store(s10, carry + CarryFloats);
            TLanes.Store(s11, carry + CarryFloats + Lanes);
            return;
        }

        Vector128<float> sums = TLanes.Sum4(s00, s01, s10, s11);
        sums.GetLower().Store(y0);
        sums.GetUpper().Store(y1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x2(float* x, float* w0, float* w1, nint k, float* y, float* carry, TilePart part)
    {
        TLanes s0 = TLanes.Zero;
        TLanes s1 = TLanes.Zero;
        if ((part & TilePart.Resume) != 0)
        {
            s0 = TLanes.Load(carry);
            s1 = TLanes.Load(carry + Lanes);
        }

        for (nint i = 0; i < k; i += Lanes)
        {
            TLanes v = TLanes.Load(x + i);
            TLanes.Accumulate(ref s0, TLanes.Load(w0 + i), v);
            TLanes.Accumulate(ref s1, TLanes.Load(w1 + i), v);
        }

        if ((part & TilePart.Pause) != 0)
        {
            TLanes.Store(s0, carry);
            TLanes.Store(s1, carry + Lanes);
            return;
        }

        y[0] = TLanes.Sum(s0);
        y[1] = TLanes.Sum(s1);
    }
}
