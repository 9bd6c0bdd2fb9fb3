namespace Cleave.Compute;

/// <summary>How the numbers of a stored tensor are encoded. Names and block layouts follow the GGUF specification.</summary>
public enum ElementType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>Blocks of 32 signed bytes with one binary16 scale (34 bytes a block).</summary>
    Q8_0,

    /// <summary>Blocks of 32 four-bit numbers with one binary16 scale (18 bytes a block).</summary>
    Q4_0,

    /// <summary>Super-blocks of 256 four-bit numbers with eight 6-bit scales and minima (144 bytes a block).</summary>
    Q4_K,

    /// <summary>Super-blocks of 256 five-bit numbers with eight 6-bit scales and minima (176 bytes a block).</summary>
    Q5_K,

    /// <summary>Super-blocks of 256 six-bit numbers with sixteen 8-bit scales (210 bytes a block).</summary>
    Q6_K,
}
