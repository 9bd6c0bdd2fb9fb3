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

/// <summary>Eight sums of one row of a thread's square: kept in registers.</summary>
internal struct Strip
{
    public float V0;
    public float V1;
    public float V2;
    public float V3;
    public float V4;
    public float V5;
    public float V6;
    public float V7;

    /// <summary>This + a · b.</summary>
    public readonly Strip Plus(float a, Strip b) => new()
    {
        V0 = V0 + (a * b.V0),
        V1 = V1 + (a * b.V1),
        V2 = V2 + (a * b.V2),
        V3 = V3 + (a * b.V3),
        V4 = V4 + (a * b.V4),
        V5 = V5 + (a * b.V5),
        V6 = V6 + (a * b.V6),
        V7 = V7 + (a * b.V7),
    };
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
        for (int start = 0; start < shape.K; start += TileK)
        {
            Group.Barrier();
            Stage(a, slicesA, thread, top, shape.M, start, shape.K, shape.AStrideM, shape.AStrideK, TileM, PitchM);
            Stage(b, slicesB, thread, left, shape.N, start, shape.K, shape.BStrideN, shape.BStrideK, TileN, PitchN);
            Group.Barrier();
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

    // slices[k, line] of a matrix whose lines are a tile's rows (of a) or columns (of b). Neighbouring threads read along the stride of 1.
    private static void Stage(
        ArrayView<float> from, ArrayView<float> slices, int thread, int first, int lines, int start, int depth, int strideLine, int strideK, int tile, int pitch)
    {
        for (int e = thread; e < tile * TileK; e += GroupSize)
        {
            int k = strideK == 1 ? e % TileK : e / tile;
            int line = strideK == 1 ? e / TileK : e % tile;
            bool inside = first + line < lines && start + k < depth;
            slices[(k * pitch) + line] = inside ? from[((long)(first + line) * strideLine) + ((long)(start + k) * strideK)] : 0;
        }
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
}
