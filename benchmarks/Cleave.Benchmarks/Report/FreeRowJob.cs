using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Cleave.Compute;
using Cleave.Compute.Cpu;

namespace Cleave.Benchmarks.Report;

/// <summary>
/// One row times a Q8_0 or BF16 matrix with no order to keep: a block's scale is applied to the sum of its products, two accumulators
/// per output break the chains of additions, and sums are added up in whatever way is cheapest. AVX-512 only.
/// </summary>
internal sealed unsafe class FreeRowJob(TensorData weight, float* x, float* y, int items) : ParallelJob
{
    private static readonly float* Scales = QuantBlocks.F16Table;

    public override void Run(int item, int worker)
    {
        int outputs = (int)weight.Rows;
        int each = ((outputs + items - 1) / items + 3) / 4 * 4;
        int end = Math.Min(outputs, (item + 1) * each);
        for (int output = item * each; output < end; output += 4)
        {
            byte* rows = weight.Pointer + (output * weight.RowBytes);
            if (weight.Type == ElementType.Q8_0)
            {
                Quantised(rows, y + output);
            }
            else
            {
                Plain((ushort*)rows, y + output);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Quantised(byte* w, float* sums)
    {
        long stride = weight.RowBytes;
        byte* ahead = w + (4 * stride);
        Vector512<float> a = Vector512<float>.Zero;
        Vector512<float> b = a;
        Vector512<float> c = a;
        Vector512<float> d = a;
        for (nint i = 0; i < weight.Columns; i += 32)
        {
            for (int line = 0; line < 136; line += 64)
            {
                Sse.Prefetch0(ahead + line);
            }

            ahead += 136;
            Vector512<float> low = Vector512.Load(x + i);
            Vector512<float> high = Vector512.Load(x + i + 16);
            a = Avx512F.FusedMultiplyAdd(Block(w, low, high), Vector512.Create(Scales[*(ushort*)w]), a);
            b = Avx512F.FusedMultiplyAdd(Block(w + stride, low, high), Vector512.Create(Scales[*(ushort*)(w + stride)]), b);
            c = Avx512F.FusedMultiplyAdd(Block(w + (2 * stride), low, high), Vector512.Create(Scales[*(ushort*)(w + (2 * stride))]), c);
            d = Avx512F.FusedMultiplyAdd(Block(w + (3 * stride), low, high), Vector512.Create(Scales[*(ushort*)(w + (3 * stride))]), d);
            w += 34;
        }

        Store(a, b, c, d, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Plain(ushort* w, float* sums)
    {
        nint k = (nint)weight.Columns;
        byte* ahead = (byte*)(w + (8 * k));
        Vector512<float> a = Vector512<float>.Zero;
        Vector512<float> b = a;
        Vector512<float> c = a;
        Vector512<float> d = a;
        Vector512<float> a1 = a;
        Vector512<float> b1 = a;
        Vector512<float> c1 = a;
        Vector512<float> d1 = a;
        for (nint i = 0; i < k; i += 32)
        {
            for (int line = 0; line < 256; line += 64)
            {
                Sse.Prefetch0(ahead + line);
            }

            ahead += 256;
            Vector512<float> low = Vector512.Load(x + i);
            Vector512<float> high = Vector512.Load(x + i + 16);
            a = Avx512F.FusedMultiplyAdd(Widen(w + i), low, a);
            a1 = Avx512F.FusedMultiplyAdd(Widen(w + i + 16), high, a1);
            b = Avx512F.FusedMultiplyAdd(Widen(w + k + i), low, b);
            b1 = Avx512F.FusedMultiplyAdd(Widen(w + k + i + 16), high, b1);
            c = Avx512F.FusedMultiplyAdd(Widen(w + (2 * k) + i), low, c);
            c1 = Avx512F.FusedMultiplyAdd(Widen(w + (2 * k) + i + 16), high, c1);
            d = Avx512F.FusedMultiplyAdd(Widen(w + (3 * k) + i), low, d);
            d1 = Avx512F.FusedMultiplyAdd(Widen(w + (3 * k) + i + 16), high, d1);
        }

        Store(a + a1, b + b1, c + c1, d + d1, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Block(byte* w, Vector512<float> low, Vector512<float> high)
    {
        Vector512<float> first = Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)w + 2))) * low;
        return Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)w + 18))), high, first);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(ushort* w) => (Avx512F.ConvertToVector512UInt32(Vector256.Load(w)) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* sums)
    {
        sums[0] = Vector512.Sum(a);
        sums[1] = Vector512.Sum(b);
        sums[2] = Vector512.Sum(c);
        sums[3] = Vector512.Sum(d);
    }
}
