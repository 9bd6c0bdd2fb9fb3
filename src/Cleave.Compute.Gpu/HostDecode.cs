namespace Cleave.Compute.Gpu;

/// <summary>Decodes rows on the host: norm vectors, and embedding rows that stay in host memory.</summary>
internal static class HostDecode
{
    /// <summary>A vector of F32, F16 or BF16.</summary>
    public static void Vector(TensorData vector, Span<float> values)
    {
        int columns = checked((int)vector.Columns);
        for (int row = 0; row < vector.Rows; row++)
        {
            Row(vector, row, values.Slice(row * columns, columns));
        }
    }

    /// <summary>One row of any plain type or Q8_0.</summary>
    public static void Row(TensorData tensor, long row, Span<float> values)
    {
        ReadOnlySpan<byte> bytes = tensor.Row(row);
        switch (tensor.Type)
        {
            case ElementType.F32:
                System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).CopyTo(values);
                break;
            case ElementType.F16:
                var halves = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Half>(bytes);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (float)halves[i];
                }

                break;
            case ElementType.BF16:
                var brains = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ushort>(bytes);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = BitConverter.UInt32BitsToSingle((uint)brains[i] << 16);
                }

                break;
            case ElementType.Q8_0:
                for (int i = 0; i < values.Length; i++)
                {
                    ReadOnlySpan<byte> block = bytes.Slice(i / 32 * 34, 34);
                    values[i] = (float)BitConverter.ToHalf(block) * (sbyte)block[2 + (i % 32)];
                }

                break;
            default:
                throw new NotSupportedException($"tensor '{tensor.Name}' is {tensor.Type}; vectors and host embeddings are read as F32, F16, BF16 or Q8_0");
        }
    }

    /// <summary>True for the types <see cref="Row"/> reads.</summary>
    public static bool CanRead(ElementType type) => type is ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0;
}
