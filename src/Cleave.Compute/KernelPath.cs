namespace Cleave.Compute;

/// <summary>Which instruction set the CPU kernels use; all give the same bits. Override: CLEAVE_KERNELS=scalar|portable|avx2|avx512.</summary>
public enum KernelPath
{
    /// <summary>Plain loops, written for clarity: the specification.</summary>
    Scalar,

    /// <summary>System.Numerics-style 128-bit vectors, any hardware.</summary>
    Portable,

    /// <summary>AVX2 with FMA.</summary>
    Avx2,

    /// <summary>AVX-512 (F, BW, DQ, VL).</summary>
    Avx512,
}
