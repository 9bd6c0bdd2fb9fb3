namespace Cleave.Compute;

/// <summary>Block geometry of every <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    /// <summary>Numbers in one block: 1 for plain types, 32 or 256 for quantised ones.</summary>
    public static int BlockLength(this ElementType type) => type switch
    {
        ElementType.F32 or ElementType.F16 or ElementType.BF16 => 1,
        ElementType.Q8_0 or ElementType.Q4_0 => 32,
        ElementType.Q4_K or ElementType.Q5_K or ElementType.Q6_K => 256,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };

    /// <summary>Bytes of one block.</summary>
    public static int BlockBytes(this ElementType type) => type switch
    {
        ElementType.F32 => 4,
        ElementType.F16 or ElementType.BF16 => 2,
        ElementType.Q8_0 => 34,
        ElementType.Q4_0 => 18,
        ElementType.Q4_K => 144,
        ElementType.Q5_K => 176,
        ElementType.Q6_K => 210,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };

    /// <summary>Bytes of one row of <paramref name="columns"/> numbers.</summary>
    /// <exception cref="ArgumentException">The row is not a whole number of blocks.</exception>
    public static long RowBytes(this ElementType type, long columns)
    {
        int block = type.BlockLength();
        return columns % block == 0
            ? checked(columns / block * type.BlockBytes())
            : throw new ArgumentException($"a row of {columns} numbers is not a whole number of {type} blocks of {block}");
    }
}
