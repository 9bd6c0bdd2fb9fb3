using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>The lanes as two 256-bit registers (AVX2 and FMA).</summary>
internal unsafe struct Avx2Lanes(Vector256<float> low, Vector256<float> high) : ILanes<Avx2Lanes>
{
    private Vector256<float> _low = low;
    private Vector256<float> _high = high;

    public static bool IsSupported => Avx2.IsSupported && System.Runtime.Intrinsics.X86.Fma.IsSupported;

    public static float I8Unit => 1f;

    public static int Registers => 8;

    public static Avx2Lanes Zero => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Broadcast(float value) => new(Vector256.Create(value), Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Broadcast(float* source) => new(Vector256.Create(*source), Vector256.Create(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Load(float* source) => new(Vector256.Load(source), Vector256.Load(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes LoadF16(ushort* source) => new(WidenF16(source), WidenF16(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes LoadBF16(ushort* source) => new(WidenBF16(source), WidenBF16(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes LoadI8(sbyte* source) => new(WidenI8(source), WidenI8(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address) => Sse.Prefetch0(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchFar(byte* address) => Sse.Prefetch1(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Avx2Lanes value, float* destination)
    {
        value._low.Store(destination);
        value._high.Store(destination + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Add(Avx2Lanes a, Avx2Lanes b) => new(a._low + b._low, a._high + b._high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Subtract(Avx2Lanes a, Avx2Lanes b) => new(a._low - b._low, a._high - b._high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Multiply(Avx2Lanes a, Avx2Lanes b) => new(a._low * b._low, a._high * b._high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Divide(Avx2Lanes a, Avx2Lanes b) => new(a._low / b._low, a._high / b._high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Fma(Avx2Lanes a, Avx2Lanes b, Avx2Lanes c) => new(
            System.Runtime.Intrinsics.X86.Fma.MultiplyAdd(a._low, b._low, c._low),
            System.Runtime.Intrinsics.X86.Fma.MultiplyAdd(a._high, b._high, c._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref Avx2Lanes sum, Avx2Lanes a, Avx2Lanes b)
    {
        sum._low = System.Runtime.Intrinsics.X86.Fma.MultiplyAdd(a._low, b._low, sum._low);
        sum._high = System.Runtime.Intrinsics.X86.Fma.MultiplyAdd(a._high, b._high, sum._high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes IfLess(Avx2Lanes a, Avx2Lanes b, Avx2Lanes x, Avx2Lanes y) => new(
            Vector256.ConditionalSelect(Vector256.LessThan(a._low, b._low), x._low, y._low),
            Vector256.ConditionalSelect(Vector256.LessThan(a._high, b._high), x._high, y._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Abs(Avx2Lanes value) => new(Vector256.Abs(value._low), Vector256.Abs(value._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes CopySign(Avx2Lanes magnitude, Avx2Lanes sign)
    {
        Vector256<float> mask = Vector256.Create(-0f);
        return new(
            Vector256.ConditionalSelect(mask, sign._low, magnitude._low),
            Vector256.ConditionalSelect(mask, sign._high, magnitude._high));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes PowerOfTwo(Avx2Lanes n) => new(Power(n._low), Power(n._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes SwapPairs(Avx2Lanes value) => new(Avx.Permute(value._low, 0b10_11_00_01), Avx.Permute(value._high, 0b10_11_00_01));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Avx2Lanes value)
    {
        Vector256<float> eight = Avx.Max(value._low, value._high);
        Vector128<float> four = Sse.Max(eight.GetLower(), eight.GetUpper());
        Vector128<float> two = Sse.Max(four, Sse.MoveHighToLow(four, four));
        return Sse.MaxScalar(two, Sse.Shuffle(two, two, 0b01_01_01_01)).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Avx2Lanes value)
    {
        Vector256<float> eight = value._low + value._high;
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        Vector128<float> two = four + Sse.MoveHighToLow(four, four);
        return two.ToScalar() + two.GetElement(1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Fold8(Avx2Lanes a, Avx2Lanes b) => new(a._low + a._high, b._low + b._high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Fold4(Avx2Lanes a, Avx2Lanes b) => new(Fold4(a._low, b._low), Fold4(a._high, b._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Fold2(Avx2Lanes a, Avx2Lanes b) => new(Fold2(a._low, b._low), Fold2(a._high, b._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Avx2Lanes Fold1(Avx2Lanes a, Avx2Lanes b) => new(Fold1(a._low, b._low), Fold1(a._high, b._high));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(Avx2Lanes a, Avx2Lanes b, Avx2Lanes c, Avx2Lanes d)
    {
        Vector256<float> a8 = a._low + a._high;
        Vector256<float> b8 = b._low + b._high;
        Vector256<float> c8 = c._low + c._high;
        Vector256<float> d8 = d._low + d._high;
        Vector256<float> ab = Avx.Permute2x128(a8, b8, 0x20) + Avx.Permute2x128(a8, b8, 0x31);
        Vector256<float> cd = Avx.Permute2x128(c8, d8, 0x20) + Avx.Permute2x128(c8, d8, 0x31);

        // Groups [a | b] and [c | d]: lanes 2 apart, then 1.
        Vector256<float> two = Avx.Shuffle(ab, cd, 0b01_00_01_00) + Avx.Shuffle(ab, cd, 0b11_10_11_10);
        Vector256<float> one = Avx.Shuffle(two, two, 0b10_00_10_00) + Avx.Shuffle(two, two, 0b11_01_11_01);

        // one: [a c a c | b d b d]
        return Sse.UnpackLow(one.GetLower(), one.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Fold4(Vector256<float> a, Vector256<float> b) =>
        Avx.Blend(a, b, 0b1111_0000) + Avx.Permute2x128(a, b, 0x21);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Fold2(Vector256<float> a, Vector256<float> b) =>
        Avx.Blend(a, b, 0b1100_1100) + Avx.Shuffle(a, b, 0b01_00_11_10);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Fold1(Vector256<float> a, Vector256<float> b) =>
        Avx.Blend(a, b, 0b1010_1010) + Avx.Permute(Avx.Blend(b, a, 0b1010_1010), 0b10_11_00_01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> WidenF16(ushort* source)
    {
        Vector256<uint> half = Avx2.ConvertToVector256Int32(source).AsUInt32();
        Vector256<uint> magnitude = half & Vector256.Create(0x7fffu);
        Vector256<uint> sign = (half ^ magnitude) << 16;
        Vector256<uint> shifted = magnitude << 13;

        // Exponents move up by 112; infinities and NaNs by 224; subnormals are normalised by an exact subtraction.
        Vector256<uint> normal = shifted + Vector256.Create(0x38000000u);
        Vector256<uint> special = shifted + Vector256.Create(0x70000000u);
        Vector256<uint> small = ((shifted + Vector256.Create(0x38800000u)).AsSingle() - Vector256.Create(0x38800000u).AsSingle()).AsUInt32();
        Vector256<uint> result = Vector256.ConditionalSelect(Vector256.LessThan(magnitude.AsInt32(), Vector256.Create(0x0400)).AsUInt32(), small, normal);
        result = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x7bff)).AsUInt32(), special, result);
        return (result | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> WidenBF16(ushort* source) => (Avx2.ConvertToVector256Int32(source).AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> WidenI8(sbyte* source) => Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Power(Vector256<float> n) => ((Avx.ConvertToVector256Int32(n) + Vector256.Create(127)) << 23).AsSingle();
}
