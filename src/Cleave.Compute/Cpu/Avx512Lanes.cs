using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>The lanes as one 512-bit register (AVX-512 F, BW, DQ, VL).</summary>
internal unsafe struct Avx512Lanes(Vector512<float> value) : ILanes<Avx512Lanes>
{
    private Vector512<float> _value = value;

    public static bool IsSupported => Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported;

    public static float I8Unit => 16777216f;

    public static int Registers => 32;

    public static Avx512Lanes Zero => new(Vector512<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Broadcast(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Broadcast(float* source) => new(Vector512.Create(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes LoadF16(ushort* source)
    {
        Vector512<uint> half = Avx512F.ConvertToVector512UInt32(Vector256.Load(source));
        Vector512<uint> magnitude = half & Vector512.Create(0x7fffu);
        Vector512<uint> sign = (half ^ magnitude) << 16;
        Vector512<uint> shifted = magnitude << 13;

        // Exponents move up by 112; infinities and NaNs by 224; subnormals are normalised by an exact subtraction.
        Vector512<uint> normal = shifted + Vector512.Create(0x38000000u);
        Vector512<uint> special = shifted + Vector512.Create(0x70000000u);
        Vector512<uint> small = ((shifted + Vector512.Create(0x38800000u)).AsSingle() - Vector512.Create(0x38800000u).AsSingle()).AsUInt32();
        Vector512<uint> result = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x0400u)), small, normal);
        result = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7bffu)), special, result);
        return new((result | sign).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes LoadBF16(ushort* source) =>
        new((Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes LoadI8(sbyte* source)
    {
        // Bytes go to the top of their lanes: value · 2^24. A broadcast load and a shuffle, because the widening move repeats
        // its shuffle whenever the load crosses a cache line, as half of the 34-byte blocks do (measured: 20 % of the time).
        Vector512<byte> places = Vector512.Create(
            (byte)255, 255, 255, 0, 255, 255, 255, 1, 255, 255, 255, 2, 255, 255, 255, 3,
            255, 255, 255, 4, 255, 255, 255, 5, 255, 255, 255, 6, 255, 255, 255, 7,
            255, 255, 255, 8, 255, 255, 255, 9, 255, 255, 255, 10, 255, 255, 255, 11,
            255, 255, 255, 12, 255, 255, 255, 13, 255, 255, 255, 14, 255, 255, 255, 15);
        Vector512<byte> bytes = Avx512F.BroadcastVector128ToVector512((int*)source).AsByte();
        return new(Avx512F.ConvertToVector512Single(Avx512BW.Shuffle(bytes, places).AsInt32()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address) => Sse.Prefetch0(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchFar(byte* address) => Sse.Prefetch1(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Avx512Lanes value, float* destination) => value._value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Add(Avx512Lanes a, Avx512Lanes b) => new(a._value + b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Subtract(Avx512Lanes a, Avx512Lanes b) => new(a._value - b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Multiply(Avx512Lanes a, Avx512Lanes b) => new(a._value * b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Divide(Avx512Lanes a, Avx512Lanes b) => new(a._value / b._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Fma(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c) =>
        new(Avx512F.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref Avx512Lanes sum, Avx512Lanes a, Avx512Lanes b)
    {
        sum._value = Avx512F.FusedMultiplyAdd(a._value, b._value, sum._value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes IfLess(Avx512Lanes a, Avx512Lanes b, Avx512Lanes x, Avx512Lanes y) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a._value, b._value), x._value, y._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Abs(Avx512Lanes value) => new(Vector512.Abs(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes CopySign(Avx512Lanes magnitude, Avx512Lanes sign)
    {
        Vector512<float> mask = Vector512.Create(-0f);
        return new(Vector512.ConditionalSelect(mask, sign._value, magnitude._value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes PowerOfTwo(Avx512Lanes n) =>
        new(((Avx512F.ConvertToVector512Int32(n._value) + Vector512.Create(127)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes SwapPairs(Avx512Lanes value) => new(Avx512F.Shuffle(value._value, value._value, 0b10_11_00_01));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Avx512Lanes value)
    {
        Vector256<float> eight = Avx.Max(value._value.GetLower(), value._value.GetUpper());
        Vector128<float> four = Sse.Max(eight.GetLower(), eight.GetUpper());
        Vector128<float> two = Sse.Max(four, Sse.MoveHighToLow(four, four));
        return Sse.MaxScalar(two, Sse.Shuffle(two, two, 0b01_01_01_01)).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Avx512Lanes value)
    {
        Vector256<float> eight = value._value.GetLower() + value._value.GetUpper();
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        Vector128<float> two = four + Sse.MoveHighToLow(four, four);
        return two.ToScalar() + two.GetElement(1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Fold8(Avx512Lanes a, Avx512Lanes b) => new(Avx512Folds.Fold8(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Fold4(Avx512Lanes a, Avx512Lanes b) => new(Avx512Folds.Fold4(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Fold2(Avx512Lanes a, Avx512Lanes b) => new(Avx512Folds.Fold2(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx512Lanes Fold1(Avx512Lanes a, Avx512Lanes b) => new(Avx512Folds.Fold1(a._value, b._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryTile(float* x, nint xStride, int rows, float** w, nint k, float* y, nint yStride, float* carry, TilePart part)
    {
        Avx512Tiles.Run(x, xStride, rows, w, k, y, yStride, carry, part);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c, Avx512Lanes d)
    {
        // [a lanes 0-7, b lanes 0-7] + [a lanes 8-15, b lanes 8-15]
        Vector512<float> ab = Avx512F.Shuffle4x128(a._value, b._value, 0b01_00_01_00) + Avx512F.Shuffle4x128(a._value, b._value, 0b11_10_11_10);
        Vector512<float> cd = Avx512F.Shuffle4x128(c._value, d._value, 0b01_00_01_00) + Avx512F.Shuffle4x128(c._value, d._value, 0b11_10_11_10);

        // One 128-bit group per sum: a, b, c, d.
        Vector512<float> four = Avx512F.Shuffle4x128(ab, cd, 0b10_00_10_00) + Avx512F.Shuffle4x128(ab, cd, 0b11_01_11_01);
        Vector512<float> two = four + Avx512F.Shuffle(four, four, 0b01_00_11_10);
        Vector512<float> one = two + Avx512F.Shuffle(two, two, 0b10_11_00_01);

        // Lane 0 of each group.
        Vector256<float> low = one.GetLower();
        Vector256<float> high = one.GetUpper();
        Vector128<float> first = Sse.UnpackLow(low.GetLower(), low.GetUpper());
        Vector128<float> second = Sse.UnpackLow(high.GetLower(), high.GetUpper());
        return Sse.MoveLowToHigh(first, second);
    }
}
