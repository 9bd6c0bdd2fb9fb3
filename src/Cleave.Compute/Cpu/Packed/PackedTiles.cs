using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu.Packed;

/// <summary>
/// Kernels on <see cref="PackedMatrix"/> (AVX-512 with VBMI). A unit of three outputs is unpacked to a scratch in the first-level cache (seven
/// instructions for 64 numbers), from which every sixteen numbers take one instruction, as many as BF16 in memory; the multipliers do not
/// wait for it (measured with the weights in the cache, in slices of 1024: 82 to 84 % of their peak at eight rows, as from BF16). Unpacking
/// straight into registers, beside 24 sums, left 70 %. Sums follow the schedule of <see cref="KernelSet"/>.
/// </summary>
internal static unsafe partial class PackedTiles
{
    /// <summary>Three unpacked units and three widened tables, on a border.</summary>
    private const int ScratchBytes = (PackedLayout.TileOutputs * (PackedLayout.WholeUnitBytes + 64)) + 64;

    private interface IRows
    {
        static abstract int Count { get; }
    }

    public static bool IsSupported => Avx512Lanes.IsSupported && Avx512Vbmi.IsSupported;

    /// <summary>
    /// y[r, n] = x[r] · w[n] for the outputs of tiles that follow one another, or one slice of it along K; x as
    /// <see cref="KernelSet.PackRows"/> leaves it, for at most eight rows. Carry holds 48 floats a row and tile.
    /// </summary>
    /// <param name="x">From the slice's first number on.</param>
    /// <param name="rows">One to eight.</param>
    /// <param name="matrix">The weights.</param>
    /// <param name="tile">The first tile.</param>
    /// <param name="unit">The slice's first unit.</param>
    /// <param name="units">Units in the slice.</param>
    /// <param name="outputs">Outputs from the tile's first on, within its chunk.</param>
    /// <param name="y">The first output of the first row.</param>
    /// <param name="yStride">Floats from row to row.</param>
    /// <param name="carry">Sums between slices.</param>
    /// <param name="part">Which part of K the slice is.</param>
    public static void Multiply(
        float* x, int rows, PackedMatrix matrix, int tile, int unit, int units, int outputs, float* y, nint yStride, float* carry, TilePart part)
    {
        byte* header = matrix.Header(tile);
        byte* data = matrix.Data(tile, unit);
        nint headerBytes = matrix.Layout.HeaderBytes;
        switch (rows)
        {
            case 1:
                Multiply<Rows1>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 2:
                Multiply<Rows2>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 3:
                Multiply<Rows3>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 4:
                Multiply<Rows4>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 5:
                Multiply<Rows5>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 6:
                Multiply<Rows6>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            case 7:
                Multiply<Rows7>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
            default:
                Multiply<Rows8>(x, header, headerBytes, data, unit, units, outputs, y, yStride, carry, part);
                break;
        }
    }

    /// <summary>Numbers of one output from a unit on, as float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack(PackedMatrix matrix, int output, int unit, int units, float* destination)
    {
        int tile = output / PackedLayout.TileOutputs;
        int place = output % PackedLayout.TileOutputs;
        byte* header = matrix.Header(tile);
        byte* room = stackalloc byte[ScratchBytes];
        byte* unpacked = (byte*)(((nint)room + 63) & ~(nint)63);
        byte* tables = unpacked + (PackedLayout.TileOutputs * PackedLayout.WholeUnitBytes);
        WidenTables(header, tables);
        for (int i = unit; i < unit + units; i++)
        {
            UnpackOutput(matrix.Data(tile, i) + (place * PackedLayout.OutputUnitBytes), tables + (64 * place), unpacked);
            int whole = header[PackedLayout.SlotsAt + (4 * i) + place];
            if (whole != 0)
            {
                CopyWhole(header, whole, unpacked);
            }

            for (byte* words = unpacked; words < unpacked + PackedLayout.WholeUnitBytes; words += 64)
            {
                Vector512<uint> pairs = Vector512.Load((uint*)words);
                (pairs << 16).AsSingle().Store(destination);
                (pairs & Vector512.Create(0xffff0000u)).AsSingle().Store(destination + 16);
                destination += 32;
            }
        }
    }

    /// <summary>Every table four times over: an index then needs no masking, whose two highest bits choose among the copies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WidenTables(byte* header, byte* tables)
    {
        for (int i = 0; i < PackedLayout.TileOutputs; i++)
        {
            // Repeated in a register: a load of what four stores wrote waits until they have left the core.
            Vector512<long> table = Vector128.Load((long*)(header + (i * PackedLayout.TableLength))).ToVector256Unsafe().ToVector512Unsafe();
            Avx512F.Shuffle4x128(table, table, 0).Store((long*)(tables + (64 * i)));
        }
    }

    /// <summary>Unpacks a unit of three outputs, and asks for one further on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Unpack(byte* header, byte* data, int* slots, byte* tables, byte* unpacked)
    {
        Sse.Prefetch0(data + (UnitsAhead * PackedLayout.UnitBytes) + 512);
        UnpackOutput(data, tables, unpacked);
        UnpackOutput(data + PackedLayout.OutputUnitBytes, tables + 64, unpacked + PackedLayout.WholeUnitBytes);
        UnpackOutput(data + (2 * PackedLayout.OutputUnitBytes), tables + 128, unpacked + (2 * PackedLayout.WholeUnitBytes));
        if (*slots != 0)
        {
            TakeWhole(header, (byte*)slots, unpacked);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackOutput(byte* data, byte* table, byte* unpacked)
    {
        Vector512<byte> widened = Vector512.Load(table);
        Vector512<byte> codes = Vector512.Load(data + 128);
        Vector512<byte> low = Vector512.Load(data);
        Vector512<byte> high = Avx512Vbmi.PermuteVar64x8(widened, codes);
        Avx512BW.UnpackLow(low, high).Store(unpacked);
        Avx512BW.UnpackHigh(low, high).Store(unpacked + 64);
        low = Vector512.Load(data + 64);
        high = Avx512Vbmi.PermuteVar64x8(widened, (codes.AsUInt16() >>> 4).AsByte());
        Avx512BW.UnpackLow(low, high).Store(unpacked + 128);
        Avx512BW.UnpackHigh(low, high).Store(unpacked + 192);
    }

    /// <summary>Inlined although rare: a call would save and restore all sums, and the compiler would do so in every turn of the loop.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TakeWhole(byte* header, byte* slots, byte* unpacked)
    {
        for (int i = 0; i < PackedLayout.TileOutputs; i++)
        {
            if (slots[i] != 0)
            {
                CopyWhole(header, slots[i], unpacked + (i * PackedLayout.WholeUnitBytes));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyWhole(byte* header, int number, byte* unpacked)
    {
        byte* whole = header + *(long*)(header + PackedLayout.WholeUnitsAt) + ((number - 1) * PackedLayout.WholeUnitBytes);
        for (int i = 0; i < PackedLayout.WholeUnitBytes; i += 64)
        {
            Vector512.Load(whole + i).Store(unpacked + i);
        }
    }

    /// <summary>Adds the lanes of eight sums, down to pairs of lanes that Fold1 adds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> FoldRows(
        Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3,
        Vector512<float> s4, Vector512<float> s5, Vector512<float> s6, Vector512<float> s7) =>
        Avx512Folds.Fold2(
            Avx512Folds.Fold4(Avx512Folds.Fold8(s0, s4), Avx512Folds.Fold8(s2, s6)),
            Avx512Folds.Fold4(Avx512Folds.Fold8(s1, s5), Avx512Folds.Fold8(s3, s7)));

    /// <summary>Sums of outputs 0 and 1 by row in the first 16 numbers, of output 2 (twice) in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreTriples(float* sums, int rows, float* y, nint yStride, int count)
    {
        for (int row = 0; row < rows; row++)
        {
            y[0] = sums[0];
            if (count > 1)
            {
                y[1] = sums[1];
            }

            if (count > 2)
            {
                y[2] = sums[16];
            }

            sums += 2;
            y += yStride;
        }
    }

    private readonly struct Rows1 : IRows
    {
        public static int Count => 1;
    }

    private readonly struct Rows2 : IRows
    {
        public static int Count => 2;
    }

    private readonly struct Rows3 : IRows
    {
        public static int Count => 3;
    }

    private readonly struct Rows4 : IRows
    {
        public static int Count => 4;
    }

    private readonly struct Rows5 : IRows
    {
        public static int Count => 5;
    }

    private readonly struct Rows6 : IRows
    {
        public static int Count => 6;
    }

    private readonly struct Rows7 : IRows
    {
        public static int Count => 7;
    }

    private readonly struct Rows8 : IRows
    {
        public static int Count => 8;
    }
}
