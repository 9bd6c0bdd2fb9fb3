using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>What products of three outputs at once share: asking for weights, and adding up.</summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    /// <summary>
    /// How many rows past its own a group asks for, into the second-level cache: in the first, pieces of rows that lie a power of two apart
    /// fall into few sets, beside x (measured in BF16: 3 to 9 rows ahead are alike, 18 lose 5 %; into the first-level cache 4 to 9 % are lost
    /// where memory is fast).
    /// </summary>
    private const int TripleRowsAhead = 3;

    /// <summary>Adds the lanes of eight sums in the order of <see cref="ILanes{TSelf}.Sum4"/>, down to pairs of lanes that Fold1 adds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes FoldRows(TLanes s0, TLanes s1, TLanes s2, TLanes s3, TLanes s4, TLanes s5, TLanes s6, TLanes s7) =>
        TLanes.Fold2(
            TLanes.Fold4(TLanes.Fold8(s0, s4), TLanes.Fold8(s2, s6)),
            TLanes.Fold4(TLanes.Fold8(s1, s5), TLanes.Fold8(s3, s7)));

    /// <summary>Asks for a row's next block in the second-level cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AskFar<TReader>(ref byte* next)
        where TReader : struct, IReader
    {
        for (int line = 0; line < TReader.Bytes; line += 64)
        {
            TLanes.PrefetchFar(next + line);
        }

        next += TReader.Bytes;
    }

    /// <summary>Sums of outputs 0 and 1 by row in the first 16 numbers, of output 2 (twice) in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreTriples(float* sums, int rows, float* y, nint yStride, int count)
    {
        if (count >= 3)
        {
            for (int row = 0; row < rows; row++)
            {
                *(long*)y = *(long*)sums;
                y[2] = sums[16];
                sums += 2;
                y += yStride;
            }

            return;
        }

        for (int row = 0; row < rows; row++)
        {
            *y = *sums;
            if (count >= 2)
            {
                y[1] = sums[1];
            }

            sums += 2;
            y += yStride;
        }
    }
}
