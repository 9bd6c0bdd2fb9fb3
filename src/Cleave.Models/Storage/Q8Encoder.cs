using System.Buffers.Binary;
using Cleave.Compute;

namespace Cleave.Models.Storage;

/// <summary>Floating-point matrices to Q8_0: in each block of 32, the scale is the largest magnitude over 127 (ggml's rule).</summary>
internal static class Q8Encoder
{
    private const int Block = 32;
    private const int BlockBytes = 34;

    /// <summary>True for matrices of floating-point numbers whose rows are whole blocks.</summary>
    public static bool Applies(TensorData tensor) =>
        tensor.Shape.Length == 2 && tensor.Columns % Block == 0 && tensor.Type is (ElementType.F32 or ElementType.F16 or ElementType.BF16);

    /// <summary>The matrix in Q8_0 in memory of its own, or the tensor itself where that does not apply.</summary>
    public static unsafe TensorData Encode(TensorData tensor)
    {
        if (!Applies(tensor))
        {
            return tensor;
        }

        long rowBytes = ElementType.Q8_0.RowBytes(tensor.Columns);
        var memory = new NativeBlock(checked(rowBytes * tensor.Rows));
        byte* start = memory.Pointer;
        Parallel.For(
            0L,
            tensor.Rows,
            () => new float[tensor.Columns],
            (row, _, numbers) =>
            {
                Decode(tensor.Type, tensor.Row(row), numbers);
                EncodeRow(numbers, new Span<byte>(start + (row * rowBytes), (int)rowBytes));
                return numbers;
            },
            static _ => { });
        return new TensorData(tensor.Name, ElementType.Q8_0, tensor.Shape, start, rowBytes * tensor.Rows, memory);
    }

    private static void Decode(ElementType type, ReadOnlySpan<byte> row, Span<float> numbers)
    {
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = type switch
            {
                ElementType.F32 => BinaryPrimitives.ReadSingleLittleEndian(row[(4 * i)..]),
                ElementType.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(row[(2 * i)..]),
                _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(row[(2 * i)..]) << 16),
            };
        }
    }

    private static void EncodeRow(ReadOnlySpan<float> numbers, Span<byte> row)
    {
        for (int block = 0; block < numbers.Length / Block; block++)
        {
            ReadOnlySpan<float> from = numbers.Slice(block * Block, Block);
            Span<byte> to = row.Slice(block * BlockBytes, BlockBytes);
            float largest = 0;
            foreach (float number in from)
            {
                // NaN and infinity carry through the scale, where the next computation shows them.
                largest = float.IsFinite(number) ? Math.Max(largest, Math.Abs(number)) : float.NaN;
            }

            float scale = largest / 127;
            float inverse = scale > 0 ? 1 / scale : 0;
            BinaryPrimitives.WriteHalfLittleEndian(to, (Half)scale);
            for (int i = 0; i < Block; i++)
            {
                to[2 + i] = (byte)(sbyte)Math.Clamp(MathF.Round(from[i] * inverse, MidpointRounding.AwayFromZero), -127, 127);
            }
        }
    }
}
