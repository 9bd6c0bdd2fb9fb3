using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

/// <summary>The lanes as four 128-bit registers, on any hardware (NEON on ARM).</summary>
internal unsafe struct PortableLanes(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d) : ILanes<PortableLanes>
{
    private Vector128<float> _a = a;
    private Vector128<float> _b = b;
    private Vector128<float> _c = c;
    private Vector128<float> _d = d;

    public static float I8Unit => 1f;

    public static int Registers => 8;

    public static PortableLanes Zero => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Broadcast(float value) => new(Vector128.Create(value), Vector128.Create(value), Vector128.Create(value), Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Broadcast(float* source) => Broadcast(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Load(float* source) => new(Vector128.Load(source), Vector128.Load(source + 4), Vector128.Load(source + 8), Vector128.Load(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes LoadF16(ushort* source) => new(WidenF16(source), WidenF16(source + 4), WidenF16(source + 8), WidenF16(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes LoadBF16(ushort* source) => new(WidenBF16(source), WidenBF16(source + 4), WidenBF16(source + 8), WidenBF16(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes LoadI8(sbyte* source) => new(WidenI8(source), WidenI8(source + 4), WidenI8(source + 8), WidenI8(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* address)
    {
        // No portable instruction; hardware prefetchers follow the streams.
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchFar(byte* address)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(PortableLanes value, float* destination)
    {
        value._a.Store(destination);
        value._b.Store(destination + 4);
        value._c.Store(destination + 8);
        value._d.Store(destination + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Add(PortableLanes a, PortableLanes b) => new(a._a + b._a, a._b + b._b, a._c + b._c, a._d + b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Subtract(PortableLanes a, PortableLanes b) => new(a._a - b._a, a._b - b._b, a._c - b._c, a._d - b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Multiply(PortableLanes a, PortableLanes b) => new(a._a * b._a, a._b * b._b, a._c * b._c, a._d * b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Divide(PortableLanes a, PortableLanes b) => new(a._a / b._a, a._b / b._b, a._c / b._c, a._d / b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Fma(PortableLanes a, PortableLanes b, PortableLanes c) => new(
            Vector128.FusedMultiplyAdd(a._a, b._a, c._a),
            Vector128.FusedMultiplyAdd(a._b, b._b, c._b),
            Vector128.FusedMultiplyAdd(a._c, b._c, c._c),
            Vector128.FusedMultiplyAdd(a._d, b._d, c._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref PortableLanes sum, PortableLanes a, PortableLanes b)
    {
        sum._a = Vector128.FusedMultiplyAdd(a._a, b._a, sum._a);
        sum._b = Vector128.FusedMultiplyAdd(a._b, b._b, sum._b);
        sum._c = Vector128.FusedMultiplyAdd(a._c, b._c, sum._c);
        sum._d = Vector128.FusedMultiplyAdd(a._d, b._d, sum._d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes IfLess(PortableLanes a, PortableLanes b, PortableLanes x, PortableLanes y) => new(
            Vector128.ConditionalSelect(Vector128.LessThan(a._a, b._a), x._a, y._a),
            Vector128.ConditionalSelect(Vector128.LessThan(a._b, b._b), x._b, y._b),
            Vector128.ConditionalSelect(Vector128.LessThan(a._c, b._c), x._c, y._c),
            Vector128.ConditionalSelect(Vector128.LessThan(a._d, b._d), x._d, y._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Abs(PortableLanes value) => new(Vector128.Abs(value._a), Vector128.Abs(value._b), Vector128.Abs(value._c), Vector128.Abs(value._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes CopySign(PortableLanes magnitude, PortableLanes sign)
    {
        Vector128<float> mask = Vector128.Create(-0f);
        return new(
            Vector128.ConditionalSelect(mask, sign._a, magnitude._a),
            Vector128.ConditionalSelect(mask, sign._b, magnitude._b),
            Vector128.ConditionalSelect(mask, sign._c, magnitude._c),
            Vector128.ConditionalSelect(mask, sign._d, magnitude._d));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes PowerOfTwo(PortableLanes n) => new(Power(n._a), Power(n._b), Power(n._c), Power(n._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes SwapPairs(PortableLanes value) => new(Swap(value._a), Swap(value._b), Swap(value._c), Swap(value._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(PortableLanes value)
    {
        Vector128<float> four = Vector128.MaxNative(Vector128.MaxNative(value._a, value._c), Vector128.MaxNative(value._b, value._d));
        float even = MathF.Max(four.GetElement(0), four.GetElement(2));
        float odd = MathF.Max(four.GetElement(1), four.GetElement(3));
        return MathF.Max(even, odd);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(PortableLanes value)
    {
        Vector128<float> four = (value._a + value._c) + (value._b + value._d);
        return (four.GetElement(0) + four.GetElement(2)) + (four.GetElement(1) + four.GetElement(3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Fold8(PortableLanes a, PortableLanes b) =>
        new(a._a + a._c, a._b + a._d, b._a + b._c, b._b + b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Fold4(PortableLanes a, PortableLanes b) =>
        new(a._a + a._b, b._a + b._b, a._c + a._d, b._c + b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Fold2(PortableLanes a, PortableLanes b) =>
        new(Fold2(a._a, b._a), Fold2(a._b, b._b), Fold2(a._c, b._c), Fold2(a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PortableLanes Fold1(PortableLanes a, PortableLanes b) =>
        new(Fold1(a._a, b._a), Fold1(a._b, b._b), Fold1(a._c, b._c), Fold1(a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(PortableLanes a, PortableLanes b, PortableLanes c, PortableLanes d) =>
        Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Swap(Vector128<float> value) => Vector128.Shuffle(value, Vector128.Create(1, 0, 3, 2));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Fold2(Vector128<float> a, Vector128<float> b)
    {
        Vector128<float> mask = Vector128.Create(0, 0, -1, -1).AsSingle();
        Vector128<float> other = Vector128.Shuffle(Vector128.ConditionalSelect(mask, a, b), Vector128.Create(2, 3, 0, 1));
        return Vector128.ConditionalSelect(mask, b, a) + other;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Fold1(Vector128<float> a, Vector128<float> b)
    {
        Vector128<float> mask = Vector128.Create(0, -1, 0, -1).AsSingle();
        Vector128<float> other = Swap(Vector128.ConditionalSelect(mask, a, b));
        return Vector128.ConditionalSelect(mask, b, a) + other;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> WidenF16(ushort* source)
    {
        Vector128<uint> half = Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe());
        Vector128<uint> magnitude = half & Vector128.Create(0x7fffu);
        Vector128<uint> sign = (half ^ magnitude) << 16;
        Vector128<uint> shifted = magnitude << 13;

        // Exponents move up by 112; infinities and NaNs by 224; subnormals are normalised by an exact subtraction.
        Vector128<uint> normal = shifted + Vector128.Create(0x38000000u);
        Vector128<uint> special = shifted + Vector128.Create(0x70000000u);
        Vector128<uint> small = ((shifted + Vector128.Create(0x38800000u)).AsSingle() - Vector128.Create(0x38800000u).AsSingle()).AsUInt32();
        Vector128<uint> result = Vector128.ConditionalSelect(Vector128.LessThan(magnitude.AsInt32(), Vector128.Create(0x0400)).AsUInt32(), small, normal);
        result = Vector128.ConditionalSelect(Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create(0x7bff)).AsUInt32(), special, result);
        return (result | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> WidenBF16(ushort* source) => (Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> WidenI8(sbyte* source) => Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(int*)source).AsSByte())));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Power(Vector128<float> n) => ((Vector128.ConvertToInt32(n) + Vector128.Create(127)) << 23).AsSingle();
}
