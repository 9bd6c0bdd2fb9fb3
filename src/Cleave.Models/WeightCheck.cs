using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.Models;

/// <summary>
/// Refuses weights that are not finite. One of them spoils every number computed after it, far from the cause; a look at each
/// matrix when it is loaded costs less than reading it from disk.
/// </summary>
public static class WeightCheck
{
    /// <summary>The tensor, when all its numbers are finite.</summary>
    /// <param name="path">The model, for the message.</param>
    /// <param name="tensor">A vector or matrix of any element type; of quantised ones the blocks' scales are looked at.</param>
    /// <exception cref="ModelFormatException">One is infinite or NaN.</exception>
    public static TensorData Finite(string path, TensorData tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        for (long row = 0; row < tensor.Rows; row++)
        {
            if (!IsFinite(tensor.Type, tensor.Row(row)))
            {
                throw new ModelFormatException(
                    $"{path}: row {row} of '{tensor.Name}' holds a number that is not finite; the file is damaged: fetch or convert it again");
            }
        }

        return tensor;
    }

    private static bool IsFinite(ElementType type, ReadOnlySpan<byte> row) => type switch
    {
        ElementType.F32 => LacksExponent(MemoryMarshal.Cast<byte, uint>(row), 0x7F80_0000u),
        ElementType.F16 => LacksExponent(MemoryMarshal.Cast<byte, ushort>(row), (ushort)0x7C00),
        ElementType.BF16 => LacksExponent(MemoryMarshal.Cast<byte, ushort>(row), (ushort)0x7F80),
        ElementType.Q8_0 => ScalesAreFinite(row, 34, 0),
        ElementType.Q4_0 => ScalesAreFinite(row, 18, 0),
        ElementType.Q4_K => ScalesAreFinite(row, 144, 0) && ScalesAreFinite(row, 144, 2),
        ElementType.Q5_K => ScalesAreFinite(row, 176, 0) && ScalesAreFinite(row, 176, 2),
        ElementType.Q6_K => ScalesAreFinite(row, 210, 208),
        _ => true,
    };

    // Infinity and NaN are the numbers whose exponent is all ones.
    private static bool LacksExponent<T>(ReadOnlySpan<T> bits, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        var mask = new Vector<T>(exponent);
        int i = 0;
        for (; i <= bits.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(new Vector<T>(bits[i..]) & mask, mask))
            {
                return false;
            }
        }

        for (; i < bits.Length; i++)
        {
            if ((bits[i] & exponent) == exponent)
            {
                return false;
            }
        }

        return true;
    }

    private static bool ScalesAreFinite(ReadOnlySpan<byte> row, int blockBytes, int offset)
    {
        for (int at = offset; at < row.Length; at += blockBytes)
        {
            if ((BinaryPrimitives.ReadUInt16LittleEndian(row[at..]) & 0x7C00) == 0x7C00)
            {
                return false;
            }
        }

        return true;
    }
}
