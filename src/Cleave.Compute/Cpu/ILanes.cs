using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Sixteen float32 lanes: the unit of the canonical order. Every instruction set implements the same lanes, so the kernels
/// are written once (<see cref="VectorKernels{TLanes}"/>) and give the same bits everywhere. Multiply-add is fused,
/// comparisons are IEEE, and <see cref="Sum"/> is one fixed tree: lanes 8 apart, then 4, 2, 1.
/// </summary>
internal unsafe interface ILanes<TSelf>
    where TSelf : struct, ILanes<TSelf>
{
    /// <summary>Sixteen-lane values that fit the registers.</summary>
    static abstract int Registers { get; }

    static abstract TSelf Zero { get; }

    static abstract TSelf Broadcast(float value);

    /// <summary>One number from memory in every lane (cheaper than from a register: no shuffle).</summary>
    static abstract TSelf Broadcast(float* source);

    static abstract TSelf Load(float* source);

    /// <summary>Sixteen binary16 numbers.</summary>
    static abstract TSelf LoadF16(ushort* source);

    /// <summary>Sixteen bfloat16 numbers.</summary>
    static abstract TSelf LoadBF16(ushort* source);

    /// <summary>Sixteen signed bytes, each times <see cref="I8Unit"/> (a power of two that makes the load cheaper).</summary>
    static abstract TSelf LoadI8(sbyte* source);

    /// <summary>What <see cref="LoadI8"/> loads for 1.</summary>
    static abstract float I8Unit { get; }

    /// <summary>Asks for the cache line of an address that will be read soon; any address will do.</summary>
    static abstract void Prefetch(byte* address);

    /// <summary>The same into the second-level cache alone, for an address that will be read later.</summary>
    static abstract void PrefetchFar(byte* address);

    static abstract void Store(TSelf value, float* destination);

    static abstract TSelf Add(TSelf a, TSelf b);

    static abstract TSelf Subtract(TSelf a, TSelf b);

    static abstract TSelf Multiply(TSelf a, TSelf b);

    static abstract TSelf Divide(TSelf a, TSelf b);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TSelf Fma(TSelf a, TSelf b, TSelf c);

    /// <summary>
    /// sum = a · b + sum. The same as <see cref="Fma"/>, but the compiler sees that the sum stays in its register; with Fma it adds
    /// a move wherever a or b is used for the last time.
    /// </summary>
    static abstract void Accumulate(ref TSelf sum, TSelf a, TSelf b);

    /// <summary>a &lt; b ? x : y, lane by lane; false when either is NaN.</summary>
    static abstract TSelf IfLess(TSelf a, TSelf b, TSelf x, TSelf y);

    static abstract TSelf Abs(TSelf value);

    /// <summary>|magnitude| with the sign bit of <paramref name="sign"/>.</summary>
    static abstract TSelf CopySign(TSelf magnitude, TSelf sign);

    /// <summary>2^n for lanes that hold integers in -126..127 as floats.</summary>
    static abstract TSelf PowerOfTwo(TSelf n);

    /// <summary>Lanes 2i and 2i+1 exchanged.</summary>
    static abstract TSelf SwapPairs(TSelf value);

    /// <summary>Largest lane; which one NaN lanes leave is unspecified.</summary>
    static abstract float Max(TSelf value);

    /// <summary>The fixed tree: (i, i+8), (i, i+4), (i, i+2), (i, i+1).</summary>
    static abstract float Sum(TSelf value);

    /// <summary>
    /// One level of <see cref="Sum"/> for two values: lane i is a[i] + a[i + 8] where i &amp; 8 is 0, b[i - 8] + b[i] where not.
    /// Four levels turn sixteen values into their sums, in order.
    /// </summary>
    static abstract TSelf Fold8(TSelf a, TSelf b);

    /// <summary>As <see cref="Fold8"/>, lanes 4 apart.</summary>
    static abstract TSelf Fold4(TSelf a, TSelf b);

    /// <summary>As <see cref="Fold8"/>, lanes 2 apart.</summary>
    static abstract TSelf Fold2(TSelf a, TSelf b);

    /// <summary>As <see cref="Fold8"/>, neighbouring lanes.</summary>
    static abstract TSelf Fold1(TSelf a, TSelf b);

    /// <summary>
    /// y[r, n] = x[r] · w[n] for <see cref="KernelSet.PanelOutputs"/> rows of weights, where the instruction set has a tile of
    /// its own; false where it has none and the one written in lanes does.
    /// </summary>
    static virtual bool TryTile(float* x, nint xStride, int rows, float** w, nint k, float* y, nint yStride, float* carry, TilePart part) => false;

    /// <summary>Four <see cref="Sum"/>s at once.</summary>
    static abstract Vector128<float> Sum4(TSelf a, TSelf b, TSelf c, TSelf d);
}
