using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu.Packed;

/// <summary>Products of up to eight rows with three packed outputs at once, from a scratch of unpacked units: see PackedTiles.cs.</summary>
internal static unsafe partial class PackedTiles
{
    /// <summary>How far on to ask for: units go by in about 0.03 us each and memory answers after 0.2 (measured: 8 to 32 units are alike, 4 lose a sixth).</summary>
    private const int UnitsAhead = 16;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TRows>(
        float* x, byte* header, nint headerBytes, byte* data, int unit, int units, int outputs, float* y, nint yStride, float* carry, TilePart part)
        where TRows : struct, IRows
    {
        byte* room = stackalloc byte[ScratchBytes];
        byte* unpacked = (byte*)(((nint)room + 63) & ~(nint)63);
        byte* tables = unpacked + (PackedLayout.TileOutputs * PackedLayout.WholeUnitBytes);
        float* sums = stackalloc float[32];
        Vector512<uint> highHalf = Vector512.Create(0xffff0000u);
        for (; outputs > 0; outputs -= PackedLayout.TileOutputs)
        {
            WidenTables(header, tables);
            int* slots = (int*)(header + PackedLayout.SlotsAt) + unit;
            Sse.Prefetch0(header + (3 * headerBytes));
            Sse.Prefetch0((byte*)slots + (3 * headerBytes));
            Vector512<float> s00 = Vector512<float>.Zero;
            Vector512<float> s01 = Vector512<float>.Zero;
            Vector512<float> s02 = Vector512<float>.Zero;
            Vector512<float> s10 = Vector512<float>.Zero;
            Vector512<float> s11 = Vector512<float>.Zero;
            Vector512<float> s12 = Vector512<float>.Zero;
            Vector512<float> s20 = Vector512<float>.Zero;
            Vector512<float> s21 = Vector512<float>.Zero;
            Vector512<float> s22 = Vector512<float>.Zero;
            Vector512<float> s30 = Vector512<float>.Zero;
            Vector512<float> s31 = Vector512<float>.Zero;
            Vector512<float> s32 = Vector512<float>.Zero;
            Vector512<float> s40 = Vector512<float>.Zero;
            Vector512<float> s41 = Vector512<float>.Zero;
            Vector512<float> s42 = Vector512<float>.Zero;
            Vector512<float> s50 = Vector512<float>.Zero;
            Vector512<float> s51 = Vector512<float>.Zero;
            Vector512<float> s52 = Vector512<float>.Zero;
            Vector512<float> s60 = Vector512<float>.Zero;
            Vector512<float> s61 = Vector512<float>.Zero;
            Vector512<float> s62 = Vector512<float>.Zero;
            Vector512<float> s70 = Vector512<float>.Zero;
            Vector512<float> s71 = Vector512<float>.Zero;
            Vector512<float> s72 = Vector512<float>.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = Vector512.Load(carry + 0);
                s01 = Vector512.Load(carry + 16);
                s02 = Vector512.Load(carry + 32);

                if (TRows.Count > 1)
                {
                    s10 = Vector512.Load(carry + 48);
                    s11 = Vector512.Load(carry + 64);
                    s12 = Vector512.Load(carry + 80);
                }

                if (TRows.Count > 2)
                {
                    s20 = Vector512.Load(carry + 96);
                    s21 = Vector512.Load(carry + 112);
                    s22 = Vector512.Load(carry + 128);
                }

                if (TRows.Count > 3)
                {
                    s30 = Vector512.Load(carry + 144);
                    s31 = Vector512.Load(carry + 160);
                    s32 = Vector512.Load(carry + 176);
                }

                if (TRows.Count > 4)
                {
                    s40 = Vector512.Load(carry + 192);
                    s41 = Vector512.Load(carry + 208);
                    s42 = Vector512.Load(carry + 224);
                }

                if (TRows.Count > 5)
                {
                    s50 = Vector512.Load(carry + 240);
                    s51 = Vector512.Load(carry + 256);
                    s52 = Vector512.Load(carry + 272);
                }

                if (TRows.Count > 6)
                {
                    s60 = Vector512.Load(carry + 288);
                    s61 = Vector512.Load(carry + 304);
                    s62 = Vector512.Load(carry + 320);
                }

                if (TRows.Count > 7)
                {
                    s70 = Vector512.Load(carry + 336);
                    s71 = Vector512.Load(carry + 352);
                    s72 = Vector512.Load(carry + 368);
                }
            }

            float* block = x;
            for (int last = units; last > 0; last--)
            {
                Unpack(header, data, slots, tables, unpacked);
                byte* ahead = data + (UnitsAhead * PackedLayout.UnitBytes);
                data += PackedLayout.UnitBytes;
                slots++;
                for (byte* words = unpacked; words < unpacked + PackedLayout.WholeUnitBytes; words += 64)
                {
                    Sse.Prefetch0(ahead);
                    Sse.Prefetch0(ahead + 64);
                    ahead += 128;

                    // Sixteen numbers in the low halves, the next sixteen in the high ones.
                    Vector512<uint> pairs0 = Vector512.Load((uint*)words);
                    Vector512<uint> pairs1 = Vector512.Load((uint*)(words + 256));
                    Vector512<uint> pairs2 = Vector512.Load((uint*)(words + 512));
                    Vector512<float> w0 = (pairs0 << 16).AsSingle();
                    Vector512<float> w1 = (pairs1 << 16).AsSingle();
                    Vector512<float> w2 = (pairs2 << 16).AsSingle();
                    Vector512<float> v = Vector512.Load(block);
                    s00 = Avx512F.FusedMultiplyAdd(v, w0, s00);
                    s01 = Avx512F.FusedMultiplyAdd(v, w1, s01);
                    s02 = Avx512F.FusedMultiplyAdd(v, w2, s02);

                    if (TRows.Count > 1)
                    {
                        v = Vector512.Load(block + 16);
                        s10 = Avx512F.FusedMultiplyAdd(v, w0, s10);
                        s11 = Avx512F.FusedMultiplyAdd(v, w1, s11);
                        s12 = Avx512F.FusedMultiplyAdd(v, w2, s12);
                    }

                    if (TRows.Count > 2)
                    {
                        v = Vector512.Load(block + 32);
                        s20 = Avx512F.FusedMultiplyAdd(v, w0, s20);
                        s21 = Avx512F.FusedMultiplyAdd(v, w1, s21);
                        s22 = Avx512F.FusedMultiplyAdd(v, w2, s22);
                    }

                    if (TRows.Count > 3)
                    {
                        v = Vector512.Load(block + 48);
                        s30 = Avx512F.FusedMultiplyAdd(v, w0, s30);
                        s31 = Avx512F.FusedMultiplyAdd(v, w1, s31);
                        s32 = Avx512F.FusedMultiplyAdd(v, w2, s32);
                    }

                    if (TRows.Count > 4)
                    {
                        v = Vector512.Load(block + 64);
                        s40 = Avx512F.FusedMultiplyAdd(v, w0, s40);
                        s41 = Avx512F.FusedMultiplyAdd(v, w1, s41);
                        s42 = Avx512F.FusedMultiplyAdd(v, w2, s42);
                    }

                    if (TRows.Count > 5)
                    {
                        v = Vector512.Load(block + 80);
                        s50 = Avx512F.FusedMultiplyAdd(v, w0, s50);
                        s51 = Avx512F.FusedMultiplyAdd(v, w1, s51);
                        s52 = Avx512F.FusedMultiplyAdd(v, w2, s52);
                    }

                    if (TRows.Count > 6)
                    {
                        v = Vector512.Load(block + 96);
                        s60 = Avx512F.FusedMultiplyAdd(v, w0, s60);
                        s61 = Avx512F.FusedMultiplyAdd(v, w1, s61);
                        s62 = Avx512F.FusedMultiplyAdd(v, w2, s62);
                    }

                    if (TRows.Count > 7)
                    {
                        v = Vector512.Load(block + 112);
                        s70 = Avx512F.FusedMultiplyAdd(v, w0, s70);
                        s71 = Avx512F.FusedMultiplyAdd(v, w1, s71);
                        s72 = Avx512F.FusedMultiplyAdd(v, w2, s72);
                    }

                    w0 = (pairs0 & highHalf).AsSingle();
                    w1 = (pairs1 & highHalf).AsSingle();
                    w2 = (pairs2 & highHalf).AsSingle();
                    v = Vector512.Load(block + (TRows.Count * 16));
                    s00 = Avx512F.FusedMultiplyAdd(v, w0, s00);
                    s01 = Avx512F.FusedMultiplyAdd(v, w1, s01);
                    s02 = Avx512F.FusedMultiplyAdd(v, w2, s02);

                    if (TRows.Count > 1)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 16);
                        s10 = Avx512F.FusedMultiplyAdd(v, w0, s10);
                        s11 = Avx512F.FusedMultiplyAdd(v, w1, s11);
                        s12 = Avx512F.FusedMultiplyAdd(v, w2, s12);
                    }

                    if (TRows.Count > 2)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 32);
                        s20 = Avx512F.FusedMultiplyAdd(v, w0, s20);
                        s21 = Avx512F.FusedMultiplyAdd(v, w1, s21);
                        s22 = Avx512F.FusedMultiplyAdd(v, w2, s22);
                    }

                    if (TRows.Count > 3)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 48);
                        s30 = Avx512F.FusedMultiplyAdd(v, w0, s30);
                        s31 = Avx512F.FusedMultiplyAdd(v, w1, s31);
                        s32 = Avx512F.FusedMultiplyAdd(v, w2, s32);
                    }

                    if (TRows.Count > 4)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 64);
                        s40 = Avx512F.FusedMultiplyAdd(v, w0, s40);
                        s41 = Avx512F.FusedMultiplyAdd(v, w1, s41);
                        s42 = Avx512F.FusedMultiplyAdd(v, w2, s42);
                    }

                    if (TRows.Count > 5)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 80);
                        s50 = Avx512F.FusedMultiplyAdd(v, w0, s50);
                        s51 = Avx512F.FusedMultiplyAdd(v, w1, s51);
                        s52 = Avx512F.FusedMultiplyAdd(v, w2, s52);
                    }

                    if (TRows.Count > 6)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 96);
                        s60 = Avx512F.FusedMultiplyAdd(v, w0, s60);
                        s61 = Avx512F.FusedMultiplyAdd(v, w1, s61);
                        s62 = Avx512F.FusedMultiplyAdd(v, w2, s62);
                    }

                    if (TRows.Count > 7)
                    {
                        v = Vector512.Load(block + (TRows.Count * 16) + 112);
                        s70 = Avx512F.FusedMultiplyAdd(v, w0, s70);
                        s71 = Avx512F.FusedMultiplyAdd(v, w1, s71);
                        s72 = Avx512F.FusedMultiplyAdd(v, w2, s72);
                    }

                    block += TRows.Count * 32;
                }
            }

            header += headerBytes;
            if ((part & TilePart.Pause) != 0)
            {
                s00.Store(carry + 0);
                s01.Store(carry + 16);
                s02.Store(carry + 32);

                if (TRows.Count > 1)
                {
                    s10.Store(carry + 48);
                    s11.Store(carry + 64);
                    s12.Store(carry + 80);
                }

                if (TRows.Count > 2)
                {
                    s20.Store(carry + 96);
                    s21.Store(carry + 112);
                    s22.Store(carry + 128);
                }

                if (TRows.Count > 3)
                {
                    s30.Store(carry + 144);
                    s31.Store(carry + 160);
                    s32.Store(carry + 176);
                }

                if (TRows.Count > 4)
                {
                    s40.Store(carry + 192);
                    s41.Store(carry + 208);
                    s42.Store(carry + 224);
                }

                if (TRows.Count > 5)
                {
                    s50.Store(carry + 240);
                    s51.Store(carry + 256);
                    s52.Store(carry + 272);
                }

                if (TRows.Count > 6)
                {
                    s60.Store(carry + 288);
                    s61.Store(carry + 304);
                    s62.Store(carry + 320);
                }

                if (TRows.Count > 7)
                {
                    s70.Store(carry + 336);
                    s71.Store(carry + 352);
                    s72.Store(carry + 368);
                }

                carry += TRows.Count * PackedLayout.TileOutputs * 16;
                continue;
            }

            carry += TRows.Count * PackedLayout.TileOutputs * 16;
            Vector512<float> first = FoldRows(s00, s10, s20, s30, s40, s50, s60, s70);
            Vector512<float> second = FoldRows(s01, s11, s21, s31, s41, s51, s61, s71);
            Vector512<float> third = FoldRows(s02, s12, s22, s32, s42, s52, s62, s72);
            Avx512Folds.Fold1(first, second).Store(sums);
            Avx512Folds.Fold1(third, third).Store(sums + 16);
            StoreTriples(sums, TRows.Count, y, yStride, outputs);
            y += PackedLayout.TileOutputs;
        }
    }
}
