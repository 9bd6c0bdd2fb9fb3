using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cleave.Compute.Cpu;

/// <summary>The stored types that products read in place, 32 numbers at a time.</summary>
internal sealed unsafe partial class VectorKernels<TLanes>
{
    /// <summary>Reads 32 stored numbers and moves on.</summary>
    private interface IReader
    {
        /// <summary>Bytes of 32 numbers.</summary>
        static abstract int Bytes { get; }

        /// <summary>How many rows further on to ask for: more for types whose bytes go by faster than memory answers.</summary>
        static virtual int RowsAhead => 8;

        /// <summary>What <see cref="Read"/> is given, kept in a register over a loop.</summary>
        static virtual float* Scales => null;

        static abstract void Read(ref byte* source, float* scales, out TLanes low, out TLanes high);
    }

    private readonly struct F32Reader : IReader
    {
        public static int Bytes => 128;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Read(ref byte* source, float* scales, out TLanes low, out TLanes high)
        {
            low = TLanes.Load((float*)source);
            high = TLanes.Load((float*)source + Lanes);
            source += Bytes;
        }
    }

    private readonly struct F16Reader : IReader
    {
        public static int Bytes => 64;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Read(ref byte* source, float* scales, out TLanes low, out TLanes high)
        {
            low = TLanes.LoadF16((ushort*)source);
            high = TLanes.LoadF16((ushort*)source + Lanes);
            source += Bytes;
        }
    }

    private readonly struct BF16Reader : IReader
    {
        public static int Bytes => 64;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Read(ref byte* source, float* scales, out TLanes low, out TLanes high)
        {
            low = TLanes.LoadBF16((ushort*)source);
            high = TLanes.LoadBF16((ushort*)source + Lanes);
            source += Bytes;
        }
    }

    /// <summary>w = q · scale is exact, so the product is one of float32 numbers.</summary>
    private readonly struct Q8Reader : IReader
    {
        private static readonly float* Table = CreateTable();

        public static int Bytes => 34;

        public static int RowsAhead => 4;

        /// <summary>Every binary16 divided by the unit of <see cref="ILanes{TSelf}.LoadI8"/>.</summary>
        public static float* Scales => Table;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Read(ref byte* source, float* scales, out TLanes low, out TLanes high)
        {
            TLanes scale = TLanes.Broadcast(scales + *(ushort*)source);
            low = TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 2), scale);
            high = TLanes.Multiply(TLanes.LoadI8((sbyte*)source + 18), scale);
            source += Bytes;
        }

        private static float* CreateTable()
        {
            float* table = (float*)NativeMemory.AlignedAlloc((ushort.MaxValue + 1) * sizeof(float), 64);
            for (int bits = 0; bits <= ushort.MaxValue; bits++)
            {
                table[bits] = QuantBlocks.F16((ushort)bits) / TLanes.I8Unit;
            }

            return table;
        }
    }
}
