using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>The tile of one row; see Avx512Tiles.cs.</summary>
internal static unsafe partial class Avx512Tiles
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1(float* x, nint xStride, int tiles, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
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
            Vector512<float> s00 = Vector512<float>.Zero;
            Vector512<float> s01 = Vector512<float>.Zero;
            Vector512<float> s02 = Vector512<float>.Zero;
            Vector512<float> s03 = Vector512<float>.Zero;
            Vector512<float> s04 = Vector512<float>.Zero;
            Vector512<float> s05 = Vector512<float>.Zero;
            Vector512<float> s06 = Vector512<float>.Zero;
            Vector512<float> s07 = Vector512<float>.Zero;
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
            }

            for (nint i = 0; i < k; i += 16)
            {
                Vector512<float> v0 = Vector512.Load(x + i);
                Vector512<float> u = Vector512.Load(w0 + i);
                s00 = Avx512F.FusedMultiplyAdd(u, v0, s00);
                u = Vector512.Load(w1 + i);
                s01 = Avx512F.FusedMultiplyAdd(u, v0, s01);
                u = Vector512.Load(w2 + i);
                s02 = Avx512F.FusedMultiplyAdd(u, v0, s02);
                u = Vector512.Load(w3 + i);
                s03 = Avx512F.FusedMultiplyAdd(u, v0, s03);
                u = Vector512.Load(w4 + i);
                s04 = Avx512F.FusedMultiplyAdd(u, v0, s04);
                u = Vector512.Load(w5 + i);
                s05 = Avx512F.FusedMultiplyAdd(u, v0, s05);
                u = Vector512.Load(w6 + i);
                s06 = Avx512F.FusedMultiplyAdd(u, v0, s06);
                u = Vector512.Load(w7 + i);
                s07 = Avx512F.FusedMultiplyAdd(u, v0, s07);
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
            }
            else
            {
                Vector512<float> a10 = Avx512Folds.Fold8(s00, s04);
                Vector512<float> a11 = Avx512Folds.Fold8(s01, s05);
                Vector512<float> a12 = Avx512Folds.Fold8(s02, s06);
                Vector512<float> a13 = Avx512Folds.Fold8(s03, s07);
                Vector512<float> b10 = Avx512Folds.Fold4(a10, a12);
                Vector512<float> b11 = Avx512Folds.Fold4(a11, a13);
                Vector512<float> c10 = Avx512Folds.Fold2(b10, b11);
                Vector512<float> d10 = Avx512Folds.Fold1(c10, c10);
                EvenLanes(d10).Store(y);
            }

            x += xStride;
            y += yStride;
            carry += 128;
        }
    }
}
