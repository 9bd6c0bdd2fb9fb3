using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Benchmarks.Report;

/// <summary>
/// The textbook tile of many rows with no order to keep: outputs in lanes, weights packed as [k, 48], one number of x broadcast at a
/// time, so that no sum is ever taken across lanes: 8 rows by 48 outputs in 24 accumulators. AVX-512 only.
/// </summary>
internal static unsafe class FreeTile
{
    public const int Rows = 8;
    public const int Outputs = 48;

    /// <summary>y[8, 48] = x[8, k] · w[k, 48].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* x, nint xStride, float* w, nint k, float* y, nint yStride)
    {
        Vector512<float> s00 = Vector512<float>.Zero, s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00;
        Vector512<float> s20 = s00, s21 = s00, s22 = s00, s30 = s00, s31 = s00, s32 = s00;
        Vector512<float> s40 = s00, s41 = s00, s42 = s00, s50 = s00, s51 = s00, s52 = s00;
        Vector512<float> s60 = s00, s61 = s00, s62 = s00, s70 = s00, s71 = s00, s72 = s00;
        float* x4 = x + (4 * xStride);
        nint three = 3 * xStride;
        for (nint i = 0; i < k; i++)
        {
            Vector512<float> a = Vector512.Load(w);
            Vector512<float> b = Vector512.Load(w + 16);
            Vector512<float> c = Vector512.Load(w + 32);
            Vector512<float> v = Vector512.Create(x[i]);
            Add(ref s00, ref s01, ref s02, v, a, b, c);
            v = Vector512.Create(x[xStride + i]);
            Add(ref s10, ref s11, ref s12, v, a, b, c);
            v = Vector512.Create(x[(2 * xStride) + i]);
            Add(ref s20, ref s21, ref s22, v, a, b, c);
            v = Vector512.Create(x[three + i]);
            Add(ref s30, ref s31, ref s32, v, a, b, c);
            v = Vector512.Create(x4[i]);
            Add(ref s40, ref s41, ref s42, v, a, b, c);
            v = Vector512.Create(x4[xStride + i]);
            Add(ref s50, ref s51, ref s52, v, a, b, c);
            v = Vector512.Create(x4[(2 * xStride) + i]);
            Add(ref s60, ref s61, ref s62, v, a, b, c);
            v = Vector512.Create(x4[three + i]);
            Add(ref s70, ref s71, ref s72, v, a, b, c);
            w += Outputs;
        }

        Store(s00, s01, s02, y);
        Store(s10, s11, s12, y + yStride);
        Store(s20, s21, s22, y + (2 * yStride));
        Store(s30, s31, s32, y + (3 * yStride));
        Store(s40, s41, s42, y + (4 * yStride));
        Store(s50, s51, s52, y + (5 * yStride));
        Store(s60, s61, s62, y + (6 * yStride));
        Store(s70, s71, s72, y + (7 * yStride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(
        ref Vector512<float> first, ref Vector512<float> second, ref Vector512<float> third,
        Vector512<float> v, Vector512<float> a, Vector512<float> b, Vector512<float> c)
    {
        first = Avx512F.FusedMultiplyAdd(a, v, first);
        second = Avx512F.FusedMultiplyAdd(b, v, second);
        third = Avx512F.FusedMultiplyAdd(c, v, third);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> first, Vector512<float> second, Vector512<float> third, float* y)
    {
        first.Store(y);
        second.Store(y + 16);
        third.Store(y + 32);
    }
}
