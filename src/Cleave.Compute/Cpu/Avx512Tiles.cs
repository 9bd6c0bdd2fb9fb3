using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Tiles of up to 3 rows by 8 outputs: 24 accumulators, 3 rows of x and one of weights fill 28 of 32 registers, and each
/// loaded number is used 3 or 8 times. Written on bare vectors: through <see cref="Avx512Lanes"/> the compiler adds a move to
/// every fourth multiply-add.
/// </summary>
internal static unsafe partial class Avx512Tiles
{
    /// <summary>y[r, n] = x[r] · w[n] for eight weight rows, or one slice of it along k.</summary>
    public static void Run(float* x, nint xStride, int rows, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
    {
        // 4 rows are 2 and 2 rather than 3 and 1: a single row hardly keeps the multipliers busy.
        int threes = rows % 3 == 1 && rows > 1 ? (rows / 3) - 1 : rows / 3;
        if (threes > 0)
        {
            Rows3(x, xStride, threes, w, k, y, yStride, carry, part);
            rows -= 3 * threes;
            x += 3 * threes * xStride;
            y += 3 * threes * yStride;
            carry += 3 * threes * KernelSet.CarryFloats;
        }

        if (rows >= 2)
        {
            Rows2(x, xStride, rows / 2, w, k, y, yStride, carry, part);
        }
        else if (rows == 1)
        {
            Rows1(x, xStride, 1, w, k, y, yStride, carry, part);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows3(float* x, nint xStride, int tiles, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
    {
        float* w0 = w[0];
        float* w1 = w[1];
        float* w2 = w[2];
        float* w3 = w[3];
        float* w4 = w[4];
        float* w5 = w[5];
        float* w6 = w[6];
        float* w7 = w[7];
        for (; tiles > 0; tiles--)
        {
            float* x1 = x + xStride;
            float* x2 = x1 + xStride;
            Vector512<float> s00 = Vector512<float>.Zero;
            Vector512<float> s01 = Vector512<float>.Zero;
            Vector512<float> s02 = Vector512<float>.Zero;
            Vector512<float> s03 = Vector512<float>.Zero;
            Vector512<float> s04 = Vector512<float>.Zero;
            Vector512<float> s05 = Vector512<float>.Zero;
            Vector512<float> s06 = Vector512<float>.Zero;
            Vector512<float> s07 = Vector512<float>.Zero;
            Vector512<float> s10 = Vector512<float>.Zero;
            Vector512<float> s11 = Vector512<float>.Zero;
            Vector512<float> s12 = Vector512<float>.Zero;
            Vector512<float> s13 = Vector512<float>.Zero;
            Vector512<float> s14 = Vector512<float>.Zero;
            Vector512<float> s15 = Vector512<float>.Zero;
            Vector512<float> s16 = Vector512<float>.Zero;
            Vector512<float> s17 = Vector512<float>.Zero;
            Vector512<float> s20 = Vector512<float>.Zero;
            Vector512<float> s21 = Vector512<float>.Zero;
            Vector512<float> s22 = Vector512<float>.Zero;
            Vector512<float> s23 = Vector512<float>.Zero;
            Vector512<float> s24 = Vector512<float>.Zero;
            Vector512<float> s25 = Vector512<float>.Zero;
            Vector512<float> s26 = Vector512<float>.Zero;
            Vector512<float> s27 = Vector512<float>.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = Vector512.Load(carry);
                s01 = Vector512.Load(carry + 16);
                s02 = Vector512.Load(carry + 32);
                s03 = Vector512.Load(carry + 48);
                s04 = Vector512.Load(carry + 64);
                s05 = Vector512.Load(carry + 80);
                s06 = Vector512.Load(carry + 96);
                s07 = Vector512.Load(carry + 112);
                s10 = Vector512.Load(carry + 128);
                s11 = Vector512.Load(carry + 144);
                s12 = Vector512.Load(carry + 160);
                s13 = Vector512.Load(carry + 176);
                s14 = Vector512.Load(carry + 192);
                s15 = Vector512.Load(carry + 208);
                s16 = Vector512.Load(carry + 224);
                s17 = Vector512.Load(carry + 240);
                s20 = Vector512.Load(carry + 256);
                s21 = Vector512.Load(carry + 272);
                s22 = Vector512.Load(carry + 288);
                s23 = Vector512.Load(carry + 304);
                s24 = Vector512.Load(carry + 320);
                s25 = Vector512.Load(carry + 336);
                s26 = Vector512.Load(carry + 352);
                s27 = Vector512.Load(carry + 368);
            }

            for (nint i = 0; i < k; i += 16)
            {
                Vector512<float> v0 = Vector512.Load(x + i);
                Vector512<float> v1 = Vector512.Load(x1 + i);
                Vector512<float> v2 = Vector512.Load(x2 + i);
                Vector512<float> u = Vector512.Load(w0 + i);
                s00 = Avx512F.FusedMultiplyAdd(u, v0, s00);
                s10 = Avx512F.FusedMultiplyAdd(u, v1, s10);
                s20 = Avx512F.FusedMultiplyAdd(u, v2, s20);
                u = Vector512.Load(w1 + i);
                s01 = Avx512F.FusedMultiplyAdd(u, v0, s01);
                s11 = Avx512F.FusedMultiplyAdd(u, v1, s11);
                s21 = Avx512F.FusedMultiplyAdd(u, v2, s21);
                u = Vector512.Load(w2 + i);
                s02 = Avx512F.FusedMultiplyAdd(u, v0, s02);
                s12 = Avx512F.FusedMultiplyAdd(u, v1, s12);
                s22 = Avx512F.FusedMultiplyAdd(u, v2, s22);
                u = Vector512.Load(w3 + i);
                s03 = Avx512F.FusedMultiplyAdd(u, v0, s03);
                s13 = Avx512F.FusedMultiplyAdd(u, v1, s13);
                s23 = Avx512F.FusedMultiplyAdd(u, v2, s23);
                u = Vector512.Load(w4 + i);
                s04 = Avx512F.FusedMultiplyAdd(u, v0, s04);
                s14 = Avx512F.FusedMultiplyAdd(u, v1, s14);
                s24 = Avx512F.FusedMultiplyAdd(u, v2, s24);
                u = Vector512.Load(w5 + i);
                s05 = Avx512F.FusedMultiplyAdd(u, v0, s05);
                s15 = Avx512F.FusedMultiplyAdd(u, v1, s15);
                s25 = Avx512F.FusedMultiplyAdd(u, v2, s25);
                u = Vector512.Load(w6 + i);
                s06 = Avx512F.FusedMultiplyAdd(u, v0, s06);
                s16 = Avx512F.FusedMultiplyAdd(u, v1, s16);
                s26 = Avx512F.FusedMultiplyAdd(u, v2, s26);
                u = Vector512.Load(w7 + i);
                s07 = Avx512F.FusedMultiplyAdd(u, v0, s07);
                s17 = Avx512F.FusedMultiplyAdd(u, v1, s17);
                s27 = Avx512F.FusedMultiplyAdd(u, v2, s27);
            }

            if ((part & TilePart.Pause) != 0)
            {
                s00.Store(carry);
                s01.Store(carry + 16);
                s02.Store(carry + 32);
                s03.Store(carry + 48);
                s04.Store(carry + 64);
                s05.Store(carry + 80);
                s06.Store(carry + 96);
                s07.Store(carry + 112);
                s10.Store(carry + 128);
                s11.Store(carry + 144);
                s12.Store(carry + 160);
                s13.Store(carry + 176);
                s14.Store(carry + 192);
                s15.Store(carry + 208);
                s16.Store(carry + 224);
                s17.Store(carry + 240);
                s20.Store(carry + 256);
                s21.Store(carry + 272);
                s22.Store(carry + 288);
                s23.Store(carry + 304);
                s24.Store(carry + 320);
                s25.Store(carry + 336);
                s26.Store(carry + 352);
                s27.Store(carry + 368);
            }
            else
            {
                Vector512<float> a00 = Avx512Folds.Fold8(s00, s10);
                Vector512<float> a01 = Avx512Folds.Fold8(s01, s11);
                Vector512<float> a02 = Avx512Folds.Fold8(s02, s12);
                Vector512<float> a03 = Avx512Folds.Fold8(s03, s13);
                Vector512<float> a04 = Avx512Folds.Fold8(s04, s14);
                Vector512<float> a05 = Avx512Folds.Fold8(s05, s15);
                Vector512<float> a06 = Avx512Folds.Fold8(s06, s16);
                Vector512<float> a07 = Avx512Folds.Fold8(s07, s17);
                Vector512<float> b00 = Avx512Folds.Fold4(a00, a04);
                Vector512<float> b01 = Avx512Folds.Fold4(a01, a05);
                Vector512<float> b02 = Avx512Folds.Fold4(a02, a06);
                Vector512<float> b03 = Avx512Folds.Fold4(a03, a07);
                Vector512<float> c00 = Avx512Folds.Fold2(b00, b02);
                Vector512<float> c01 = Avx512Folds.Fold2(b01, b03);
                Vector512<float> d00 = Avx512Folds.Fold1(c00, c01);
                d00.GetLower().Store(y);
                d00.GetUpper().Store(y + yStride);
                Vector512<float> a10 = Avx512Folds.Fold8(s20, s24);
                Vector512<float> a11 = Avx512Folds.Fold8(s21, s25);
                Vector512<float> a12 = Avx512Folds.Fold8(s22, s26);
                Vector512<float> a13 = Avx512Folds.Fold8(s23, s27);
                Vector512<float> b10 = Avx512Folds.Fold4(a10, a12);
                Vector512<float> b11 = Avx512Folds.Fold4(a11, a13);
                Vector512<float> c10 = Avx512Folds.Fold2(b10, b11);
                Vector512<float> d10 = Avx512Folds.Fold1(c10, c10);
                EvenLanes(d10).Store(y + (2 * yStride));
            }

            x += 3 * xStride;
            y += 3 * yStride;
            carry += 384;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2(float* x, nint xStride, int tiles, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
    {
        float* w0 = w[0];
        float* w1 = w[1];
        float* w2 = w[2];
        float* w3 = w[3];
        float* w4 = w[4];
        float* w5 = w[5];
        float* w6 = w[6];
        float* w7 = w[7];
        for (; tiles > 0; tiles--)
        {
            float* x1 = x + xStride;
            Vector512<float> s00 = Vector512<float>.Zero;
            Vector512<float> s01 = Vector512<float>.Zero;
            Vector512<float> s02 = Vector512<float>.Zero;
            Vector512<float> s03 = Vector512<float>.Zero;
            Vector512<float> s04 = Vector512<float>.Zero;
            Vector512<float> s05 = Vector512<float>.Zero;
            Vector512<float> s06 = Vector512<float>.Zero;
            Vector512<float> s07 = Vector512<float>.Zero;
            Vector512<float> s10 = Vector512<float>.Zero;
            Vector512<float> s11 = Vector512<float>.Zero;
            Vector512<float> s12 = Vector512<float>.Zero;
            Vector512<float> s13 = Vector512<float>.Zero;
            Vector512<float> s14 = Vector512<float>.Zero;
            Vector512<float> s15 = Vector512<float>.Zero;
            Vector512<float> s16 = Vector512<float>.Zero;
            Vector512<float> s17 = Vector512<float>.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = Vector512.Load(carry);
                s01 = Vector512.Load(carry + 16);
                s02 = Vector512.Load(carry + 32);
                s03 = Vector512.Load(carry + 48);
                s04 = Vector512.Load(carry + 64);
                s05 = Vector512.Load(carry + 80);
                s06 = Vector512.Load(carry + 96);
                s07 = Vector512.Load(carry + 112);
                s10 = Vector512.Load(carry + 128);
                s11 = Vector512.Load(carry + 144);
                s12 = Vector512.Load(carry + 160);
                s13 = Vector512.Load(carry + 176);
                s14 = Vector512.Load(carry + 192);
                s15 = Vector512.Load(carry + 208);
                s16 = Vector512.Load(carry + 224);
                s17 = Vector512.Load(carry + 240);
            }

            for (nint i = 0; i < k; i += 16)
            {
                Vector512<float> v0 = Vector512.Load(x + i);
                Vector512<float> v1 = Vector512.Load(x1 + i);
                Vector512<float> u = Vector512.Load(w0 + i);
                s00 = Avx512F.FusedMultiplyAdd(u, v0, s00);
                s10 = Avx512F.FusedMultiplyAdd(u, v1, s10);
                u = Vector512.Load(w1 + i);
                s01 = Avx512F.FusedMultiplyAdd(u, v0, s01);
                s11 = Avx512F.FusedMultiplyAdd(u, v1, s11);
                u = Vector512.Load(w2 + i);
                s02 = Avx512F.FusedMultiplyAdd(u, v0, s02);
                s12 = Avx512F.FusedMultiplyAdd(u, v1, s12);
                u = Vector512.Load(w3 + i);
                s03 = Avx512F.FusedMultiplyAdd(u, v0, s03);
                s13 = Avx512F.FusedMultiplyAdd(u, v1, s13);
                u = Vector512.Load(w4 + i);
                s04 = Avx512F.FusedMultiplyAdd(u, v0, s04);
                s14 = Avx512F.FusedMultiplyAdd(u, v1, s14);
                u = Vector512.Load(w5 + i);
                s05 = Avx512F.FusedMultiplyAdd(u, v0, s05);
                s15 = Avx512F.FusedMultiplyAdd(u, v1, s15);
                u = Vector512.Load(w6 + i);
                s06 = Avx512F.FusedMultiplyAdd(u, v0, s06);
                s16 = Avx512F.FusedMultiplyAdd(u, v1, s16);
                u = Vector512.Load(w7 + i);
                s07 = Avx512F.FusedMultiplyAdd(u, v0, s07);
                s17 = Avx512F.FusedMultiplyAdd(u, v1, s17);
            }

            if ((part & TilePart.Pause) != 0)
            {
                s00.Store(carry);
                s01.Store(carry + 16);
                s02.Store(carry + 32);
                s03.Store(carry + 48);
                s04.Store(carry + 64);
                s05.Store(carry + 80);
                s06.Store(carry + 96);
                s07.Store(carry + 112);
                s10.Store(carry + 128);
                s11.Store(carry + 144);
                s12.Store(carry + 160);
                s13.Store(carry + 176);
                s14.Store(carry + 192);
                s15.Store(carry + 208);
                s16.Store(carry + 224);
                s17.Store(carry + 240);
            }
            else
            {
                Vector512<float> a00 = Avx512Folds.Fold8(s00, s10);
                Vector512<float> a01 = Avx512Folds.Fold8(s01, s11);
                Vector512<float> a02 = Avx512Folds.Fold8(s02, s12);
                Vector512<float> a03 = Avx512Folds.Fold8(s03, s13);
                Vector512<float> a04 = Avx512Folds.Fold8(s04, s14);
                Vector512<float> a05 = Avx512Folds.Fold8(s05, s15);
                Vector512<float> a06 = Avx512Folds.Fold8(s06, s16);
                Vector512<float> a07 = Avx512Folds.Fold8(s07, s17);
                Vector512<float> b00 = Avx512Folds.Fold4(a00, a04);
                Vector512<float> b01 = Avx512Folds.Fold4(a01, a05);
                Vector512<float> b02 = Avx512Folds.Fold4(a02, a06);
                Vector512<float> b03 = Avx512Folds.Fold4(a03, a07);
                Vector512<float> c00 = Avx512Folds.Fold2(b00, b02);
                Vector512<float> c01 = Avx512Folds.Fold2(b01, b03);
                Vector512<float> d00 = Avx512Folds.Fold1(c00, c01);
                d00.GetLower().Store(y);
                d00.GetUpper().Store(y + yStride);
            }

            x += 2 * xStride;
            y += 2 * yStride;
            carry += 256;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> EvenLanes(Vector512<float> value) =>
        Avx512F.PermuteVar16x32(value, Vector512.Create(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0)).GetLower();
}
