using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Products of seven or eight rows with three outputs at once, as many sums as there are registers for beside the operands; see
/// VectorKernels.Dot.cs. Three outputs rather than two read x a third less often (measured with
/// what Triples asks for: 1 to 4 % faster where memory is slow, 3 % slower where it is fast, 4 % in the cache at K 512, where sums weigh more).
/// </summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot7<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride, float* carry, TilePart part)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        float* sums = stackalloc float[32];
        for (int output = 0; output < outputs; output += 3)
        {
            // The last rows of a weight that is no multiple of three repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            weights += 3 * rowBytes;
            byte* next0 = weights + (TripleRowsAhead * rowBytes);
            byte* next1 = next0 + rowBytes;
            byte* next2 = next1 + rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s12 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s22 = TLanes.Zero;
            TLanes s30 = TLanes.Zero;
            TLanes s31 = TLanes.Zero;
            TLanes s32 = TLanes.Zero;
            TLanes s40 = TLanes.Zero;
            TLanes s41 = TLanes.Zero;
            TLanes s42 = TLanes.Zero;
            TLanes s50 = TLanes.Zero;
            TLanes s51 = TLanes.Zero;
            TLanes s52 = TLanes.Zero;
            TLanes s60 = TLanes.Zero;
            TLanes s61 = TLanes.Zero;
            TLanes s62 = TLanes.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = TLanes.Load(carry);
                s01 = TLanes.Load(carry + 16);
                s02 = TLanes.Load(carry + 32);
                s10 = TLanes.Load(carry + 48);
                s11 = TLanes.Load(carry + 64);
                s12 = TLanes.Load(carry + 80);
                s20 = TLanes.Load(carry + 96);
                s21 = TLanes.Load(carry + 112);
                s22 = TLanes.Load(carry + 128);
                s30 = TLanes.Load(carry + 144);
                s31 = TLanes.Load(carry + 160);
                s32 = TLanes.Load(carry + 176);
                s40 = TLanes.Load(carry + 192);
                s41 = TLanes.Load(carry + 208);
                s42 = TLanes.Load(carry + 224);
                s50 = TLanes.Load(carry + 240);
                s51 = TLanes.Load(carry + 256);
                s52 = TLanes.Load(carry + 272);
                s60 = TLanes.Load(carry + 288);
                s61 = TLanes.Load(carry + 304);
                s62 = TLanes.Load(carry + 320);
            }

            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                AskFar<TReader>(ref next0);
                AskFar<TReader>(ref next1);
                AskFar<TReader>(ref next2);
                TReader.Read(ref w0, scales, out TLanes low0, out TLanes high0);
                TReader.Read(ref w1, scales, out TLanes low1, out TLanes high1);
                TReader.Read(ref w2, scales, out TLanes low2, out TLanes high2);
                TLanes v = TLanes.Load(block);
                TLanes.Accumulate(ref s00, v, low0);
                TLanes.Accumulate(ref s01, v, low1);
                TLanes.Accumulate(ref s02, v, low2);
                v = TLanes.Load(block + 16);
                TLanes.Accumulate(ref s10, v, low0);
                TLanes.Accumulate(ref s11, v, low1);
                TLanes.Accumulate(ref s12, v, low2);
                v = TLanes.Load(block + 32);
                TLanes.Accumulate(ref s20, v, low0);
                TLanes.Accumulate(ref s21, v, low1);
                TLanes.Accumulate(ref s22, v, low2);
                v = TLanes.Load(block + 48);
                TLanes.Accumulate(ref s30, v, low0);
                TLanes.Accumulate(ref s31, v, low1);
                TLanes.Accumulate(ref s32, v, low2);
                v = TLanes.Load(block + 64);
                TLanes.Accumulate(ref s40, v, low0);
                TLanes.Accumulate(ref s41, v, low1);
                TLanes.Accumulate(ref s42, v, low2);
                v = TLanes.Load(block + 80);
                TLanes.Accumulate(ref s50, v, low0);
                TLanes.Accumulate(ref s51, v, low1);
                TLanes.Accumulate(ref s52, v, low2);
                v = TLanes.Load(block + 96);
                TLanes.Accumulate(ref s60, v, low0);
                TLanes.Accumulate(ref s61, v, low1);
                TLanes.Accumulate(ref s62, v, low2);
                v = TLanes.Load(block + 112);
                TLanes.Accumulate(ref s00, v, high0);
                TLanes.Accumulate(ref s01, v, high1);
                TLanes.Accumulate(ref s02, v, high2);
                v = TLanes.Load(block + 128);
                TLanes.Accumulate(ref s10, v, high0);
                TLanes.Accumulate(ref s11, v, high1);
                TLanes.Accumulate(ref s12, v, high2);
                v = TLanes.Load(block + 144);
                TLanes.Accumulate(ref s20, v, high0);
                TLanes.Accumulate(ref s21, v, high1);
                TLanes.Accumulate(ref s22, v, high2);
                v = TLanes.Load(block + 160);
                TLanes.Accumulate(ref s30, v, high0);
                TLanes.Accumulate(ref s31, v, high1);
                TLanes.Accumulate(ref s32, v, high2);
                v = TLanes.Load(block + 176);
                TLanes.Accumulate(ref s40, v, high0);
                TLanes.Accumulate(ref s41, v, high1);
                TLanes.Accumulate(ref s42, v, high2);
                v = TLanes.Load(block + 192);
                TLanes.Accumulate(ref s50, v, high0);
                TLanes.Accumulate(ref s51, v, high1);
                TLanes.Accumulate(ref s52, v, high2);
                v = TLanes.Load(block + 208);
                TLanes.Accumulate(ref s60, v, high0);
                TLanes.Accumulate(ref s61, v, high1);
                TLanes.Accumulate(ref s62, v, high2);
                block += 7 * ReaderBlock;
            }

            if ((part & TilePart.Pause) != 0)
            {
                TLanes.Store(s00, carry);
                TLanes.Store(s01, carry + 16);
                TLanes.Store(s02, carry + 32);
                TLanes.Store(s10, carry + 48);
                TLanes.Store(s11, carry + 64);
                TLanes.Store(s12, carry + 80);
                TLanes.Store(s20, carry + 96);
                TLanes.Store(s21, carry + 112);
                TLanes.Store(s22, carry + 128);
                TLanes.Store(s30, carry + 144);
                TLanes.Store(s31, carry + 160);
                TLanes.Store(s32, carry + 176);
                TLanes.Store(s40, carry + 192);
                TLanes.Store(s41, carry + 208);
                TLanes.Store(s42, carry + 224);
                TLanes.Store(s50, carry + 240);
                TLanes.Store(s51, carry + 256);
                TLanes.Store(s52, carry + 272);
                TLanes.Store(s60, carry + 288);
                TLanes.Store(s61, carry + 304);
                TLanes.Store(s62, carry + 320);
                carry += 336;
                y += 3;
                continue;
            }

            carry += 336;
            TLanes.Store(TLanes.Fold1(FoldRows(s00, s10, s20, s30, s40, s50, s60, s00), FoldRows(s01, s11, s21, s31, s41, s51, s61, s01)), sums);
            TLanes last = FoldRows(s02, s12, s22, s32, s42, s52, s62, s02);
            TLanes.Store(TLanes.Fold1(last, last), sums + 16);
            StoreTriples(sums, 7, y, yStride, outputs - output);
            y += 3;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot8<TReader>(float* x, byte* weights, long rowBytes, int outputs, nint k, float* y, nint yStride, float* carry, TilePart part)
        where TReader : struct, IReader
    {
        float* scales = TReader.Scales;
        float* sums = stackalloc float[32];
        for (int output = 0; output < outputs; output += 3)
        {
            // The last rows of a weight that is no multiple of three repeat; their sums are not stored.
            byte* w0 = weights;
            byte* w1 = output + 1 < outputs ? w0 + rowBytes : w0;
            byte* w2 = output + 2 < outputs ? w1 + rowBytes : w1;
            weights += 3 * rowBytes;
            byte* next0 = weights + (TripleRowsAhead * rowBytes);
            byte* next1 = next0 + rowBytes;
            byte* next2 = next1 + rowBytes;
            TLanes s00 = TLanes.Zero;
            TLanes s01 = TLanes.Zero;
            TLanes s02 = TLanes.Zero;
            TLanes s10 = TLanes.Zero;
            TLanes s11 = TLanes.Zero;
            TLanes s12 = TLanes.Zero;
            TLanes s20 = TLanes.Zero;
            TLanes s21 = TLanes.Zero;
            TLanes s22 = TLanes.Zero;
            TLanes s30 = TLanes.Zero;
            TLanes s31 = TLanes.Zero;
            TLanes s32 = TLanes.Zero;
            TLanes s40 = TLanes.Zero;
            TLanes s41 = TLanes.Zero;
            TLanes s42 = TLanes.Zero;
            TLanes s50 = TLanes.Zero;
            TLanes s51 = TLanes.Zero;
            TLanes s52 = TLanes.Zero;
            TLanes s60 = TLanes.Zero;
            TLanes s61 = TLanes.Zero;
            TLanes s62 = TLanes.Zero;
            TLanes s70 = TLanes.Zero;
            TLanes s71 = TLanes.Zero;
            TLanes s72 = TLanes.Zero;
            if ((part & TilePart.Resume) != 0)
            {
                s00 = TLanes.Load(carry);
                s01 = TLanes.Load(carry + 16);
                s02 = TLanes.Load(carry + 32);
                s10 = TLanes.Load(carry + 48);
                s11 = TLanes.Load(carry + 64);
                s12 = TLanes.Load(carry + 80);
                s20 = TLanes.Load(carry + 96);
                s21 = TLanes.Load(carry + 112);
                s22 = TLanes.Load(carry + 128);
                s30 = TLanes.Load(carry + 144);
                s31 = TLanes.Load(carry + 160);
                s32 = TLanes.Load(carry + 176);
                s40 = TLanes.Load(carry + 192);
                s41 = TLanes.Load(carry + 208);
                s42 = TLanes.Load(carry + 224);
                s50 = TLanes.Load(carry + 240);
                s51 = TLanes.Load(carry + 256);
                s52 = TLanes.Load(carry + 272);
                s60 = TLanes.Load(carry + 288);
                s61 = TLanes.Load(carry + 304);
                s62 = TLanes.Load(carry + 320);
                s70 = TLanes.Load(carry + 336);
                s71 = TLanes.Load(carry + 352);
                s72 = TLanes.Load(carry + 368);
            }

            float* block = x;
            for (nint i = 0; i < k; i += ReaderBlock)
            {
                AskFar<TReader>(ref next0);
                AskFar<TReader>(ref next1);
                AskFar<TReader>(ref next2);
                TReader.Read(ref w0, scales, out TLanes low0, out TLanes high0);
                TReader.Read(ref w1, scales, out TLanes low1, out TLanes high1);
                TReader.Read(ref w2, scales, out TLanes low2, out TLanes high2);
                TLanes v = TLanes.Load(block);
                TLanes.Accumulate(ref s00, v, low0);
                TLanes.Accumulate(ref s01, v, low1);
                TLanes.Accumulate(ref s02, v, low2);
                v = TLanes.Load(block + 16);
                TLanes.Accumulate(ref s10, v, low0);
                TLanes.Accumulate(ref s11, v, low1);
                TLanes.Accumulate(ref s12, v, low2);
                v = TLanes.Load(block + 32);
                TLanes.Accumulate(ref s20, v, low0);
                TLanes.Accumulate(ref s21, v, low1);
                TLanes.Accumulate(ref s22, v, low2);
                v = TLanes.Load(block + 48);
                TLanes.Accumulate(ref s30, v, low0);
                TLanes.Accumulate(ref s31, v, low1);
                TLanes.Accumulate(ref s32, v, low2);
                v = TLanes.Load(block + 64);
                TLanes.Accumulate(ref s40, v, low0);
                TLanes.Accumulate(ref s41, v, low1);
                TLanes.Accumulate(ref s42, v, low2);
                v = TLanes.Load(block + 80);
                TLanes.Accumulate(ref s50, v, low0);
                TLanes.Accumulate(ref s51, v, low1);
                TLanes.Accumulate(ref s52, v, low2);
                v = TLanes.Load(block + 96);
                TLanes.Accumulate(ref s60, v, low0);
                TLanes.Accumulate(ref s61, v, low1);
                TLanes.Accumulate(ref s62, v, low2);
                v = TLanes.Load(block + 112);
                TLanes.Accumulate(ref s70, v, low0);
                TLanes.Accumulate(ref s71, v, low1);
                TLanes.Accumulate(ref s72, v, low2);
                v = TLanes.Load(block + 128);
                TLanes.Accumulate(ref s00, v, high0);
                TLanes.Accumulate(ref s01, v, high1);
                TLanes.Accumulate(ref s02, v, high2);
                v = TLanes.Load(block + 144);
                TLanes.Accumulate(ref s10, v, high0);
                TLanes.Accumulate(ref s11, v, high1);
                TLanes.Accumulate(ref s12, v, high2);
                v = TLanes.Load(block + 160);
                TLanes.Accumulate(ref s20, v, high0);
                TLanes.Accumulate(ref s21, v, high1);
                TLanes.Accumulate(ref s22, v, high2);
                v = TLanes.Load(block + 176);
                TLanes.Accumulate(ref s30, v, high0);
                TLanes.Accumulate(ref s31, v, high1);
                TLanes.Accumulate(ref s32, v, high2);
                v = TLanes.Load(block + 192);
                TLanes.Accumulate(ref s40, v, high0);
                TLanes.Accumulate(ref s41, v, high1);
                TLanes.Accumulate(ref s42, v, high2);
                v = TLanes.Load(block + 208);
                TLanes.Accumulate(ref s50, v, high0);
                TLanes.Accumulate(ref s51, v, high1);
                TLanes.Accumulate(ref s52, v, high2);
                v = TLanes.Load(block + 224);
                TLanes.Accumulate(ref s60, v, high0);
                TLanes.Accumulate(ref s61, v, high1);
                TLanes.Accumulate(ref s62, v, high2);
                v = TLanes.Load(block + 240);
                TLanes.Accumulate(ref s70, v, high0);
                TLanes.Accumulate(ref s71, v, high1);
                TLanes.Accumulate(ref s72, v, high2);
                block += 8 * ReaderBlock;
            }

            if ((part & TilePart.Pause) != 0)
            {
                TLanes.Store(s00, carry);
                TLanes.Store(s01, carry + 16);
                TLanes.Store(s02, carry + 32);
                TLanes.Store(s10, carry + 48);
                TLanes.Store(s11, carry + 64);
                TLanes.Store(s12, carry + 80);
                TLanes.Store(s20, carry + 96);
                TLanes.Store(s21, carry + 112);
                TLanes.Store(s22, carry + 128);
                TLanes.Store(s30, carry + 144);
                TLanes.Store(s31, carry + 160);
                TLanes.Store(s32, carry + 176);
                TLanes.Store(s40, carry + 192);
                TLanes.Store(s41, carry + 208);
                TLanes.Store(s42, carry + 224);
                TLanes.Store(s50, carry + 240);
                TLanes.Store(s51, carry + 256);
                TLanes.Store(s52, carry + 272);
                TLanes.Store(s60, carry + 288);
                TLanes.Store(s61, carry + 304);
                TLanes.Store(s62, carry + 320);
                TLanes.Store(s70, carry + 336);
                TLanes.Store(s71, carry + 352);
                TLanes.Store(s72, carry + 368);
                carry += 384;
                y += 3;
                continue;
            }

            carry += 384;
            TLanes.Store(TLanes.Fold1(FoldRows(s00, s10, s20, s30, s40, s50, s60, s70), FoldRows(s01, s11, s21, s31, s41, s51, s61, s71)), sums);
            TLanes last = FoldRows(s02, s12, s22, s32, s42, s52, s62, s72);
            TLanes.Store(TLanes.Fold1(last, last), sums + 16);
            StoreTriples(sums, 8, y, yStride, outputs - output);
            y += 3;
        }
    }
}
