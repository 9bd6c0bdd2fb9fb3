using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.CheckpointWriter;

/// <summary>Rows of the source as float32.</summary>
internal static class RowDecoder
{
    public static float[] Decode(TensorData tensor, long row)
    {
        var values = new float[tensor.Columns];
        ReadOnlySpan<byte> bytes = tensor.Row(row);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = tensor.Type switch
            {
                ElementType.F32 => MemoryMarshal.Cast<byte, float>(bytes)[i],
                ElementType.F16 => (float)MemoryMarshal.Cast<byte, Half>(bytes)[i],
                ElementType.BF16 => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Cast<byte, ushort>(bytes)[i] << 16),
                ElementType.Q8_0 => (float)BitConverter.ToHalf(bytes[(i / 32 * 34)..]) * (sbyte)bytes[(i / 32 * 34) + 2 + (i % 32)],
                _ => throw new NotSupportedException($"{tensor.Name} is {tensor.Type}; give a source in F32, F16, BF16 or Q8_0"),
            };
        }

        return values;
    }
}
