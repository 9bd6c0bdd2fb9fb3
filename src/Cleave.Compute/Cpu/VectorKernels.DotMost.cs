using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>Products of seven or eight rows at once; see VectorKernels.Dot.cs.</summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot7<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride, float* carry, TilePart part)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        float* sums = stackalloc float[16];
        for (int output = 0; output < outputs; output += 2)
        {
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            weights += 2 * rowBytes;
            byte* next0 = w0 + (PairRowsAhead * rowBytes);
            byte* next1 = next0 + rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s30 = TLanes.Zero;
            TLanes s31 = TLanes.Zero;
            TLanes s40 = TLanes.Zero;
            TLanes s41 = TLanes.Zero;
            TLanes s50 = TLanes.Zero;
            TLanes s51 = TLanes.Zero;
            TLanes s60 = TLanes.Zero;
            TLanes s61 = TLanes.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = TLanes.Load(carry);
                s01 = TLanes.Load(carry + 16);
                s10 = TLanes.Load(carry + 32);
                s11 = TLanes.Load(carry + 48);
                s20 = TLanes.Load(carry + 64);
                s21 = TLanes.Load(carry + 80);
                s30 = TLanes.Load(carry + 96);
                s31 = TLanes.Load(carry + 112);
                s40 = TLanes.Load(carry + 128);
                s41 = TLanes.Load(carry + 144);
                s50 = TLanes.Load(carry + 160);
                s51 = TLanes.Load(carry + 176);
                s60 = TLanes.Load(carry + 192);
                s61 = TLanes.Load(carry + 208);
            }

            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next0, 1);
                Ask<TReader>(ref next1, 1);
                TReader.Read(ref w0, scales, out TLanes low0, out TLanes high0);
                TReader.Read(ref w1, scales, out TLanes low1, out TLanes high1);
                TLanes v = TLanes.Load(block);
                TLanes.Accumulate(ref s00, v, low0);
                TLanes.Accumulate(ref s01, v, low1);
                v = TLanes.Load(block + 16);
                TLanes.Accumulate(ref s10, v, low0);
                TLanes.Accumulate(ref s11, v, low1);
                v = TLanes.Load(block + 32);
                TLanes.Accumulate(ref s20, v, low0);
                TLanes.Accumulate(ref s21, v, low1);
                v = TLanes.Load(block + 48);
                TLanes.Accumulate(ref s30, v, low0);
                TLanes.Accumulate(ref s31, v, low1);
                v = TLanes.Load(block + 64);
                TLanes.Accumulate(ref s40, v, low0);
                TLanes.Accumulate(ref s41, v, low1);
                v = TLanes.Load(block + 80);
                TLanes.Accumulate(ref s50, v, low0);
                TLanes.Accumulate(ref s51, v, low1);
                v = TLanes.Load(block + 96);
                TLanes.Accumulate(ref s60, v, low0);
                TLanes.Accumulate(ref s61, v, low1);
                v = TLanes.Load(block + 112);
                TLanes.Accumulate(ref s00, v, high0);
                TLanes.Accumulate(ref s01, v, high1);
                v = TLanes.Load(block + 128);
                TLanes.Accumulate(ref s10, v, high0);
                TLanes.Accumulate(ref s11, v, high1);
                v = TLanes.Load(block + 144);
                TLanes.Accumulate(ref s20, v, high0);
                TLanes.Accumulate(ref s21, v, high1);
                v = TLanes.Load(block + 160);
                TLanes.Accumulate(ref s30, v, high0);
                TLanes.Accumulate(ref s31, v, high1);
                v = TLanes.Load(block + 176);
                TLanes.Accumulate(ref s40, v, high0);
                TLanes.Accumulate(ref s41, v, high1);
                v = TLanes.Load(block + 192);
                TLanes.Accumulate(ref s50, v, high0);
                TLanes.Accumulate(ref s51, v, high1);
                v = TLanes.Load(block + 208);
                TLanes.Accumulate(ref s60, v, high0);
                TLanes.Accumulate(ref s61, v, high1);
                block += 7 * ReaderBlock;
            }

            if ((part & TilePart.Pause) != 0)
            {
                TLanes.Store(s00, carry);
                TLanes.Store(s01, carry + 16);
                TLanes.Store(s10, carry + 32);
                TLanes.Store(s11, carry + 48);
                TLanes.Store(s20, carry + 64);
                TLanes.Store(s21, carry + 80);
                TLanes.Store(s30, carry + 96);
                TLanes.Store(s31, carry + 112);
                TLanes.Store(s40, carry + 128);
                TLanes.Store(s41, carry + 144);
                TLanes.Store(s50, carry + 160);
                TLanes.Store(s51, carry + 176);
                TLanes.Store(s60, carry + 192);
                TLanes.Store(s61, carry + 208);
                carry += 224;
                y += 2;
                continue;
            }

            carry += 224;
            TLanes a0 = TLanes.Fold8(s00, s40);
            TLanes a1 = TLanes.Fold8(s01, s41);
            TLanes a2 = TLanes.Fold8(s10, s50);
            TLanes a3 = TLanes.Fold8(s11, s51);
            TLanes a4 = TLanes.Fold8(s20, s60);
            TLanes a5 = TLanes.Fold8(s21, s61);
            TLanes a6 = TLanes.Fold8(s30, s00);
            TLanes a7 = TLanes.Fold8(s31, s00);
            TLanes b0 = TLanes.Fold4(a0, a4);
            TLanes b1 = TLanes.Fold4(a1, a5);
            TLanes b2 = TLanes.Fold4(a2, a6);
            TLanes b3 = TLanes.Fold4(a3, a7);
            TLanes c0 = TLanes.Fold2(b0, b2);
            TLanes c1 = TLanes.Fold2(b1, b3);
            TLanes d0 = TLanes.Fold1(c0, c1);
            TLanes.Store(d0, sums);
            StorePairs(sums, 7, y, yStride, outputs - output);
            y += 2;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot8<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride, float* carry, TilePart part)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        float* sums = stackalloc float[16];
        for (int output = 0; output < outputs; output += 2)
        {
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            weights += 2 * rowBytes;
            byte* next0 = w0 + (PairRowsAhead * rowBytes);
            byte* next1 = next0 + rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s30 = TLanes.Zero;
            TLanes s31 = TLanes.Zero;
            TLanes s40 = TLanes.Zero;
            TLanes s41 = TLanes.Zero;
            TLanes s50 = TLanes.Zero;
            TLanes s51 = TLanes.Zero;
            TLanes s60 = TLanes.Zero;
            TLanes s61 = TLanes.Zero;
            TLanes s70 = TLanes.Zero;
            TLanes s71 = TLanes.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = TLanes.Load(carry);
                s01 = TLanes.Load(carry + 16);
                s10 = TLanes.Load(carry + 32);
                s11 = TLanes.Load(carry + 48);
                s20 = TLanes.Load(carry + 64);
                s21 = TLanes.Load(carry + 80);
                s30 = TLanes.Load(carry + 96);
                s31 = TLanes.Load(carry + 112);
                s40 = TLanes.Load(carry + 128);
                s41 = TLanes.Load(carry + 144);
                s50 = TLanes.Load(carry + 160);
                s51 = TLanes.Load(carry + 176);
                s60 = TLanes.Load(carry + 192);
                s61 = TLanes.Load(carry + 208);
                s70 = TLanes.Load(carry + 224);
                s71 = TLanes.Load(carry + 240);
            }

            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                Ask<TReader>(ref next0, 1);
                Ask<TReader>(ref next1, 1);
                TReader.Read(ref w0, scales, out TLanes low0, out TLanes high0);
                TReader.Read(ref w1, scales, out TLanes low1, out TLanes high1);
                TLanes v = TLanes.Load(block);
                TLanes.Accumulate(ref s00, v, low0);
                TLanes.Accumulate(ref s01, v, low1);
                v = TLanes.Load(block + 16);
                TLanes.Accumulate(ref s10, v, low0);
                TLanes.Accumulate(ref s11, v, low1);
                v = TLanes.Load(block + 32);
                TLanes.Accumulate(ref s20, v, low0);
                TLanes.Accumulate(ref s21, v, low1);
                v = TLanes.Load(block + 48);
                TLanes.Accumulate(ref s30, v, low0);
                TLanes.Accumulate(ref s31, v, low1);
                v = TLanes.Load(block + 64);
                TLanes.Accumulate(ref s40, v, low0);
                TLanes.Accumulate(ref s41, v, low1);
                v = TLanes.Load(block + 80);
                TLanes.Accumulate(ref s50, v, low0);
                TLanes.Accumulate(ref s51, v, low1);
                v = TLanes.Load(block + 96);
                TLanes.Accumulate(ref s60, v, low0);
                TLanes.Accumulate(ref s61, v, low1);
                v = TLanes.Load(block + 112);
                TLanes.Accumulate(ref s70, v, low0);
                TLanes.Accumulate(ref s71, v, low1);
                v = TLanes.Load(block + 128);
                TLanes.Accumulate(ref s00, v, high0);
                TLanes.Accumulate(ref s01, v, high1);
                v = TLanes.Load(block + 144);
                TLanes.Accumulate(ref s10, v, high0);
                TLanes.Accumulate(ref s11, v, high1);
                v = TLanes.Load(block + 160);
                TLanes.Accumulate(ref s20, v, high0);
                TLanes.Accumulate(ref s21, v, high1);
                v = TLanes.Load(block + 176);
                TLanes.Accumulate(ref s30, v, high0);
                TLanes.Accumulate(ref s31, v, high1);
                v = TLanes.Load(block + 192);
                TLanes.Accumulate(ref s40, v, high0);
                TLanes.Accumulate(ref s41, v, high1);
                v = TLanes.Load(block + 208);
                TLanes.Accumulate(ref s50, v, high0);
                TLanes.Accumulate(ref s51, v, high1);
                v = TLanes.Load(block + 224);
                TLanes.Accumulate(ref s60, v, high0);
                TLanes.Accumulate(ref s61, v, high1);
                v = TLanes.Load(block + 240);
                TLanes.Accumulate(ref s70, v, high0);
                TLanes.Accumulate(ref s71, v, high1);
                block += 8 * ReaderBlock;
            }

            if ((part & TilePart.Pause) != 0)
            {
                TLanes.Store(s00, carry);
                TLanes.Store(s01, carry + 16);
                TLanes.Store(s10, carry + 32);
                TLanes.Store(s11, carry + 48);
                TLanes.Store(s20, carry + 64);
                TLanes.Store(s21, carry + 80);
                TLanes.Store(s30, carry + 96);
                TLanes.Store(s31, carry + 112);
                TLanes.Store(s40, carry + 128);
                TLanes.Store(s41, carry + 144);
                TLanes.Store(s50, carry + 160);
                TLanes.Store(s51, carry + 176);
                TLanes.Store(s60, carry + 192);
                TLanes.Store(s61, carry + 208);
                TLanes.Store(s70, carry + 224);
                TLanes.Store(s71, carry + 240);
                carry += 256;
                y += 2;
                continue;
            }

            carry += 256;
            TLanes a0 = TLanes.Fold8(s00, s40);
            TLanes a1 = TLanes.Fold8(s01, s41);
            TLanes a2 = TLanes.Fold8(s10, s50);
            TLanes a3 = TLanes.Fold8(s11, s51);
            TLanes a4 = TLanes.Fold8(s20, s60);
            TLanes a5 = TLanes.Fold8(s21, s61);
            TLanes a6 = TLanes.Fold8(s30, s70);
            TLanes a7 = TLanes.Fold8(s31, s71);
            TLanes b0 = TLanes.Fold4(a0, a4);
            TLanes b1 = TLanes.Fold4(a1, a5);
            TLanes b2 = TLanes.Fold4(a2, a6);
            TLanes b3 = TLanes.Fold4(a3, a7);
            TLanes c0 = TLanes.Fold2(b0, b2);
            TLanes c1 = TLanes.Fold2(b1, b3);
            TLanes d0 = TLanes.Fold1(c0, c1);
            TLanes.Store(d0, sums);
            StorePairs(sums, 8, y, yStride, outputs - output);
            y += 2;
        }
    }
}
