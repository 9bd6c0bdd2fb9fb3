using ILGPU;

namespace Cleave.Compute.Gpu.Training;

/// <summary>Sizes of c = a · b over K, and how far apart neighbours lie in a and b: of each pair of strides one is 1.</summary>
internal struct TileShape
{
    public int M;
    public int N;
    public int K;
    public int AStrideM;
    public int AStrideK;
    public int BStrideK;
    public int BStrideN;
}

/// <summary>
/// Products of training, in float32: a group makes a tile of [128, 64] from slices of K that it stages in shared memory, a thread a square of
/// 8 x 8. Sums go over K in ascending order, whatever the sizes, so that equal operands give equal bits.
/// </summary>
internal static class TileProduct
{
    public const int GroupSize = 128;
    public const int TileM = 128;
    public const int TileN = 64;

    private const int TileK = 16;

    // A float more than the tile: the columns of a slice then start in different banks.
    private const int PitchM = TileM + 1;
    private const int PitchN = TileN + 1;

    // Neighbouring threads take neighbouring columns; a thread's own are this far apart.
    private const int Across = 8;
    private const int Down = 16;

    /// <summary>c: [M, N], written whole.</summary>
    public static void Multiply(ArrayView<float> a, ArrayView<float> b, ArrayView<float> c, TileShape shape)
    {
        ArrayView<float> slicesA = SharedMemory.Allocate<float>(TileK * PitchM);
        ArrayView<float> slicesB = SharedMemory.Allocate<float>(TileK * PitchN);
        int thread = Group.IdxX;
        int tilesN = (shape.N + TileN - 1) / TileN;
        int top = Grid.IdxX / tilesN * TileM;
        int left = Grid.IdxX % tilesN * TileN;
        int x = thread % Across;
        int y = thread / Across;
        Strip c0 = default;
        Strip c1 = default;
        Strip c2 = default;
        Strip c3 = default;
        Strip c4 = default;
        Strip c5 = default;
        Strip c6 = default;
        Strip c7 = default;
        var bringsA = new Share(thread, shape.AStrideM, shape.AStrideK, TileM);
        var bringsB = new Share(thread, shape.BStrideN, shape.BStrideK, TileN);
        Strip a0 = Bring(a, bringsA, top, shape.M, 0, shape.K, 0);
        Strip a1 = Bring(a, bringsA, top, shape.M, 0, shape.K, 8);
        Strip b0 = Bring(b, bringsB, left, shape.N, 0, shape.K, 0);
        for (int start = 0; start < shape.K; start += TileK)
        {
            Group.Barrier();
            Lay(slicesA, PitchM, bringsA, a0, 0);
            Lay(slicesA, PitchM, bringsA, a1, 8);
            Lay(slicesB, PitchN, bringsB, b0, 0);
            Group.Barrier();

            // The next slice is on its way while this one is multiplied.
            a0 = Bring(a, bringsA, top, shape.M, start + TileK, shape.K, 0);
            a1 = Bring(a, bringsA, top, shape.M, start + TileK, shape.K, 8);
            b0 = Bring(b, bringsB, left, shape.N, start + TileK, shape.K, 0);
            for (int k = 0; k < TileK; k++)
            {
                long atA = (k * PitchM) + y;
                long atB = (k * PitchN) + x;
                Strip right;
                right.V0 = slicesB[atB];
                right.V1 = slicesB[atB + Across];
                right.V2 = slicesB[atB + (2 * Across)];
                right.V3 = slicesB[atB + (3 * Across)];
                right.V4 = slicesB[atB + (4 * Across)];
                right.V5 = slicesB[atB + (5 * Across)];
                right.V6 = slicesB[atB + (6 * Across)];
                right.V7 = slicesB[atB + (7 * Across)];
                c0 = c0.Plus(slicesA[atA], right);
                c1 = c1.Plus(slicesA[atA + Down], right);
                c2 = c2.Plus(slicesA[atA + (2 * Down)], right);
                c3 = c3.Plus(slicesA[atA + (3 * Down)], right);
                c4 = c4.Plus(slicesA[atA + (4 * Down)], right);
                c5 = c5.Plus(slicesA[atA + (5 * Down)], right);
                c6 = c6.Plus(slicesA[atA + (6 * Down)], right);
                c7 = c7.Plus(slicesA[atA + (7 * Down)], right);
            }
        }

        Write(c, c0, top + y, left + x, shape);
        Write(c, c1, top + y + Down, left + x, shape);
        Write(c, c2, top + y + (2 * Down), left + x, shape);
        Write(c, c3, top + y + (3 * Down), left + x, shape);
        Write(c, c4, top + y + (4 * Down), left + x, shape);
        Write(c, c5, top + y + (5 * Down), left + x, shape);
        Write(c, c6, top + y + (6 * Down), left + x, shape);
        Write(c, c7, top + y + (7 * Down), left + x, shape);
    }

    // Eight of the numbers a thread brings of a slice, those beyond K as zero. Beyond M or N any number will do: those sums are not written.
    private static Strip Bring(ArrayView<float> from, Share share, int first, int lines, int start, int depth, int i) => new()
    {
        V0 = One(from, share, first, lines, start, depth, i),
        V1 = One(from, share, first, lines, start, depth, i + 1),
        V2 = One(from, share, first, lines, start, depth, i + 2),
        V3 = One(from, share, first, lines, start, depth, i + 3),
        V4 = One(from, share, first, lines, start, depth, i + 4),
        V5 = One(from, share, first, lines, start, depth, i + 5),
        V6 = One(from, share, first, lines, start, depth, i + 6),
        V7 = One(from, share, first, lines, start, depth, i + 7),
    };

    private static float One(ArrayView<float> from, Share share, int first, int lines, int start, int depth, int i)
    {
        int line = IntrinsicMath.Min(first + share.Line + (i * share.NextLine), lines - 1);
        int k = start + share.K + (i * share.NextK);
        float value = from[(line * share.StrideLine) + (IntrinsicMath.Min(k, depth - 1) * share.StrideK)];

        // All ones below the depth, without a branch: a branch would keep one load waiting for another.
        uint mask = (uint)((k - depth) >> 31);
        return Interop.IntAsFloat(Interop.FloatAsInt(value) & mask);
    }

    private static void Lay(ArrayView<float> slices, int pitch, Share share, Strip values, int i)
    {
        long at = ((share.K + (i * share.NextK)) * pitch) + share.Line + (i * share.NextLine);
        long next = (share.NextK * pitch) + share.NextLine;
        slices[at] = values.V0;
        slices[at + next] = values.V1;
        slices[at + (2 * next)] = values.V2;
        slices[at + (3 * next)] = values.V3;
        slices[at + (4 * next)] = values.V4;
        slices[at + (5 * next)] = values.V5;
        slices[at + (6 * next)] = values.V6;
        slices[at + (7 * next)] = values.V7;
    }

    private static void Write(ArrayView<float> c, Strip values, int row, int column, TileShape shape)
    {
        if (row >= shape.M)
        {
            return;
        }

        long at = (long)row * shape.N;
        Put(c, at, values.V0, column, shape.N);
        Put(c, at, values.V1, column + Across, shape.N);
        Put(c, at, values.V2, column + (2 * Across), shape.N);
        Put(c, at, values.V3, column + (3 * Across), shape.N);
        Put(c, at, values.V4, column + (4 * Across), shape.N);
        Put(c, at, values.V5, column + (5 * Across), shape.N);
        Put(c, at, values.V6, column + (6 * Across), shape.N);
        Put(c, at, values.V7, column + (7 * Across), shape.N);
    }

    private static void Put(ArrayView<float> c, long row, float value, int column, int columns)
    {
        if (column < columns)
        {
            c[row + column] = value;
        }
    }

    // Which numbers of a slice a thread brings: neighbouring threads read along the stride of 1.
    private readonly struct Share
    {
        public readonly int StrideLine;
        public readonly int StrideK;
        public readonly int Line;
        public readonly int K;
        public readonly int NextLine;
        public readonly int NextK;

        public Share(int thread, int strideLine, int strideK, int tile)
        {
            bool alongK = strideK == 1;
            StrideLine = strideLine;
            StrideK = strideK;
            Line = alongK ? thread / TileK : thread % tile;
            K = alongK ? thread % TileK : thread / tile;
            NextLine = alongK ? GroupSize / TileK : 0;
            NextK = alongK ? 0 : GroupSize / tile;
        }
    }
}
