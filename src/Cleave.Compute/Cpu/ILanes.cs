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
    /// <summary>Whether 24 accumulators fit in registers (32 vector registers of 512 bits).</summary>
    static abstract bool WideTiles { get; }

    static abstract TSelf Zero { get; }

    static abstract TSelf Broadcast(float value);

    static abstract TSelf Load(float* source);

    /// <summary>Sixteen binary16 numbers.</summary>
    static abstract TSelf LoadF16(ushort* source);

    /// <summary>Sixteen bfloat16 numbers.</summary>
    static abstract TSelf LoadBF16(ushort* source);

    /// <summary>Sixteen signed bytes.</summary>
    static abstract TSelf LoadI8(sbyte* source);

    static abstract void Store(TSelf value, float* destination);

    static abstract TSelf Add(TSelf a, TSelf b);

    static abstract TSelf Subtract(TSelf a, TSelf b);

    static abstract TSelf Multiply(TSelf a, TSelf b);

    static abstract TSelf Divide(TSelf a, TSelf b);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TSelf Fma(TSelf a, TSelf b, TSelf c);

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

    /// <summary>Four <see cref="Sum"/>s at once.</summary>
    static abstract Vector128<float> Sum4(TSelf a, TSelf b, TSelf c, TSelf d);
}
