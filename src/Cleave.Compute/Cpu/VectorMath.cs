using System.Runtime.CompilerServices;
using static Cleave.Compute.Cpu.ScalarMath;

namespace Cleave.Compute.Cpu;

/// <summary><see cref="ScalarMath"/> on sixteen lanes: the same operations in the same order.</summary>
internal static class VectorMath<TLanes>
    where TLanes : struct, ILanes<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Exp(TLanes x)
    {
        TLanes low = TLanes.Broadcast(-105f);
        TLanes high = TLanes.Broadcast(89f);
        TLanes rounder = TLanes.Broadcast(Rounder);
        x = TLanes.IfLess(x, low, low, x);
        x = TLanes.IfLess(high, x, high, x);
        TLanes n = TLanes.Subtract(TLanes.Fma(x, TLanes.Broadcast(Log2E), rounder), rounder);
        TLanes r = TLanes.Fma(n, TLanes.Broadcast(-Ln2Low), TLanes.Fma(n, TLanes.Broadcast(-Ln2High), x));
        TLanes p = TLanes.Fma(TLanes.Broadcast(E5), r, TLanes.Broadcast(E4));
        p = TLanes.Fma(p, r, TLanes.Broadcast(E3));
        p = TLanes.Fma(p, r, TLanes.Broadcast(E2));
        p = TLanes.Fma(p, r, TLanes.Broadcast(E1));
        p = TLanes.Fma(p, r, TLanes.Broadcast(E0));
        TLanes y = TLanes.Add(TLanes.Broadcast(1f), TLanes.Fma(TLanes.Multiply(r, r), p, r));
        TLanes half = TLanes.Subtract(TLanes.Fma(n, TLanes.Broadcast(0.5f), rounder), rounder);
        return TLanes.Multiply(TLanes.Multiply(y, TLanes.PowerOfTwo(half)), TLanes.PowerOfTwo(TLanes.Subtract(n, half)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Tanh(TLanes x)
    {
        TLanes one = TLanes.Broadcast(1f);
        TLanes a = TLanes.Abs(x);
        TLanes s = TLanes.Multiply(a, a);
        TLanes p = TLanes.Fma(TLanes.Broadcast(T4), s, TLanes.Broadcast(T3));
        p = TLanes.Fma(p, s, TLanes.Broadcast(T2));
        p = TLanes.Fma(p, s, TLanes.Broadcast(T1));
        p = TLanes.Fma(p, s, TLanes.Broadcast(T0));
        TLanes small = TLanes.Fma(TLanes.Multiply(s, a), p, a);
        TLanes large = TLanes.Subtract(one, TLanes.Divide(TLanes.Broadcast(2f), TLanes.Add(Exp(TLanes.Add(a, a)), one)));
        return TLanes.CopySign(TLanes.IfLess(a, TLanes.Broadcast(TanhSmall), small, large), x);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Erf(TLanes x)
    {
        TLanes one = TLanes.Broadcast(1f);
        TLanes a = TLanes.Abs(x);
        TLanes s = TLanes.Multiply(a, a);
        TLanes p = TLanes.Fma(TLanes.Broadcast(F6), s, TLanes.Broadcast(F5));
        p = TLanes.Fma(p, s, TLanes.Broadcast(F4));
        p = TLanes.Fma(p, s, TLanes.Broadcast(F3));
        p = TLanes.Fma(p, s, TLanes.Broadcast(F2));
        p = TLanes.Fma(p, s, TLanes.Broadcast(F1));
        p = TLanes.Fma(p, s, TLanes.Broadcast(F0));
        TLanes small = TLanes.Multiply(a, p);
        TLanes t = TLanes.Divide(one, TLanes.Fma(a, TLanes.Broadcast(0.5f), one));
        TLanes q = TLanes.Fma(TLanes.Broadcast(C5), t, TLanes.Broadcast(C4));
        q = TLanes.Fma(q, t, TLanes.Broadcast(C3));
        q = TLanes.Fma(q, t, TLanes.Broadcast(C2));
        q = TLanes.Fma(q, t, TLanes.Broadcast(C1));
        q = TLanes.Fma(q, t, TLanes.Broadcast(C0));
        q = TLanes.Multiply(t, q);
        TLanes large = TLanes.Subtract(one, TLanes.Multiply(Exp(Negate(s)), q));
        return TLanes.CopySign(TLanes.IfLess(a, one, small, large), x);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Silu(TLanes x) => TLanes.Divide(x, TLanes.Add(TLanes.Broadcast(1f), Exp(Negate(x))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes GeluTanh(TLanes x)
    {
        TLanes u = TLanes.Multiply(x, TLanes.Fma(TLanes.Multiply(x, x), TLanes.Broadcast(GeluCubic), TLanes.Broadcast(GeluLinear)));
        return TLanes.Divide(x, TLanes.Add(TLanes.Broadcast(1f), Exp(Negate(u))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Gelu(TLanes x) => TLanes.Multiply(
        TLanes.Multiply(TLanes.Broadcast(0.5f), x),
        TLanes.Add(TLanes.Broadcast(1f), Erf(TLanes.Multiply(x, TLanes.Broadcast(SqrtHalf)))));

    // 0 - x differs from -x only in the sign of a zero, which Exp maps to the same 1.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Negate(TLanes x) => TLanes.Subtract(TLanes.Zero, x);
}
