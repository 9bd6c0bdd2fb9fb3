using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cleave.Protocol.Codec;

/// <summary>
/// Activations to wire bytes and back. A row's bytes depend on that row alone, element by element (q8: and on the
/// row's largest magnitude), with correctly rounded operations only: the result is the same on every machine and for
/// every number of rows. Payloads are little-endian.
/// <list type="bullet">
/// <item>f32: the bits.</item>
/// <item>f16: nearest, ties to even, saturating at ±65504.</item>
/// <item>bf16: nearest, ties to even, saturating at the largest finite number.</item>
/// <item>q8: binary32 scale = max|x| / 127, then hiddenSize signed bytes x · (127 / max|x|) rounded to even; a row with max|x| under 2^-100 is zero, and 127/128 of the largest finite number saturates.</item>
/// </list>
/// </summary>
public static class ActivationCodec
{
    // Below this 127 / max|x| could overflow.
    private const float SmallestMagnitude = 7.888609e-31f; // 2^-100
    private const float LargestScale = float.MaxValue / 128;
    private const float LargestHalf = 65504;

    /// <summary>Bytes of one row.</summary>
    public static int RowBytes(WireType type, int hiddenSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(hiddenSize);
        return type switch
        {
            WireType.F32 => checked(4 * hiddenSize),
            WireType.F16 or WireType.BF16 => checked(2 * hiddenSize),
            WireType.Q8 => checked(4 + hiddenSize),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Unknown wire type."),
        };
    }

    /// <summary>Encodes whole rows.</summary>
    /// <param name="type">Wire type.</param>
    /// <param name="activations">[rows, hiddenSize].</param>
    /// <param name="hiddenSize">Numbers per row.</param>
    /// <param name="payload">Receives rows x <see cref="RowBytes"/> bytes.</param>
    /// <param name="badRow">On false, the first row with a number that is not finite; the payload is then undefined.</param>
    /// <exception cref="ArgumentException">Lengths disagree.</exception>
    public static bool TryEncode(WireType type, ReadOnlySpan<float> activations, int hiddenSize, Span<byte> payload, out int badRow)
    {
        int rowBytes = RowBytes(type, hiddenSize);
        int rows = WholeRows(activations.Length, hiddenSize);
        if (payload.Length != (long)rows * rowBytes)
        {
            throw new ArgumentException($"{rows} rows of hidden size {hiddenSize} take {(long)rows * rowBytes} bytes, not {payload.Length}.", nameof(payload));
        }

        for (badRow = 0; badRow < rows; badRow++)
        {
            ReadOnlySpan<float> row = activations.Slice(badRow * hiddenSize, hiddenSize);
            Span<byte> bytes = payload.Slice(badRow * rowBytes, rowBytes);
            if (!TryLargestMagnitude(row, out float largest))
            {
                return false;
            }

            switch (type)
            {
                case WireType.F32:
                    MemoryMarshal.AsBytes(row).CopyTo(bytes);
                    break;
                case WireType.F16:
                    EncodeHalf(row, MemoryMarshal.Cast<byte, ushort>(bytes));
                    break;
                case WireType.BF16:
                    EncodeBrain(row, MemoryMarshal.Cast<byte, ushort>(bytes));
                    break;
                case WireType.Q8:
                    EncodeQ8(row, largest, bytes);
                    break;
            }
        }

        badRow = -1;
        return true;
    }

    /// <summary>Decodes whole rows.</summary>
    /// <param name="type">Wire type.</param>
    /// <param name="payload">Rows x <see cref="RowBytes"/> bytes.</param>
    /// <param name="hiddenSize">Numbers per row.</param>
    /// <param name="activations">Receives [rows, hiddenSize].</param>
    /// <param name="badRow">On false, the first row with a number (or scale) that is not finite, or -1 when the payload's length is not that of the activations; the activations are then undefined.</param>
    /// <exception cref="ArgumentException">The activations are not whole rows.</exception>
    public static bool TryDecode(WireType type, ReadOnlySpan<byte> payload, int hiddenSize, Span<float> activations, out int badRow)
    {
        int rowBytes = RowBytes(type, hiddenSize);
        int rows = WholeRows(activations.Length, hiddenSize);
        if (payload.Length != (long)rows * rowBytes)
        {
            // A peer's payload: wrong, not a bug of ours.
            badRow = -1;
            return false;
        }

        for (badRow = 0; badRow < rows; badRow++)
        {
            ReadOnlySpan<byte> bytes = payload.Slice(badRow * rowBytes, rowBytes);
            Span<float> row = activations.Slice(badRow * hiddenSize, hiddenSize);
            bool finite = true;
            switch (type)
            {
                case WireType.F32:
                    bytes.CopyTo(MemoryMarshal.AsBytes(row));
                    finite = TryLargestMagnitude(row, out _);
                    break;
                case WireType.F16:
                    finite = TryDecodeHalf(MemoryMarshal.Cast<byte, ushort>(bytes), row);
                    break;
                case WireType.BF16:
                    DecodeBrain(MemoryMarshal.Cast<byte, ushort>(bytes), row);
                    finite = TryLargestMagnitude(row, out _);
                    break;
                case WireType.Q8:
                    finite = TryDecodeQ8(bytes, row);
                    break;
            }

            if (!finite)
            {
                return false;
            }
        }

        badRow = -1;
        return true;
    }

    private static int WholeRows(int activations, int hiddenSize)
    {
        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException("Activations are little-endian on the wire and this machine is not.");
        }

        return activations % hiddenSize == 0
            ? activations / hiddenSize
            : throw new ArgumentException($"{activations} activations are not whole rows of {hiddenSize}.", nameof(activations));
    }

    /// <summary>Largest magnitude of a row; false when a number is not finite. The maximum does not depend on the order.</summary>
    private static bool TryLargestMagnitude(ReadOnlySpan<float> row, out float largest)
    {
        // As integers: magnitudes order like their bits, and infinities and NaNs are the largest.
        ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(row);
        Vector<int> mask = new(int.MaxValue);
        Vector<int> most = Vector<int>.Zero;
        int i = 0;
        for (; i <= bits.Length - Vector<int>.Count; i += Vector<int>.Count)
        {
            most = Vector.Max(most, Vector.BitwiseAnd(new Vector<int>(bits[i..]), mask));
        }

        int max = 0;
        for (int lane = 0; lane < Vector<int>.Count; lane++)
        {
            max = Math.Max(max, most[lane]);
        }

        for (; i < bits.Length; i++)
        {
            max = Math.Max(max, bits[i] & int.MaxValue);
        }

        largest = BitConverter.Int32BitsToSingle(max);
        return max < 0x7F800000;
    }

    private static void EncodeHalf(ReadOnlySpan<float> row, Span<ushort> target)
    {
        int i = 0;
        for (; i <= row.Length - (2 * Vector<float>.Count); i += 2 * Vector<float>.Count)
        {
            Vector<uint> low = HalfBits(new Vector<float>(row[i..]));
            Vector<uint> high = HalfBits(new Vector<float>(row[(i + Vector<float>.Count)..]));
            Vector.Narrow(low, high).CopyTo(target[i..]);
        }

        if (i < row.Length)
        {
            Span<float> rest = stackalloc float[2 * Vector<float>.Count];
            Span<ushort> narrow = stackalloc ushort[2 * Vector<float>.Count];
            rest.Clear();
            row[i..].CopyTo(rest);
            Vector.Narrow(HalfBits(new Vector<float>(rest)), HalfBits(new Vector<float>(rest[Vector<float>.Count..]))).CopyTo(narrow);
            narrow[..(row.Length - i)].CopyTo(target[i..]);
        }
    }

    /// <summary>binary16 bits of finite numbers, nearest even, saturating.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> HalfBits(Vector<float> values)
    {
        Vector<uint> bits = Vector.AsVectorUInt32(values);
        Vector<uint> sign = Vector.BitwiseAnd(bits, new Vector<uint>(0x8000_0000));
        Vector<float> magnitude = Vector.Min(Vector.Abs(values), new Vector<float>(LargestHalf));
        Vector<uint> magnitudeBits = Vector.AsVectorUInt32(magnitude);

        // Normal: rebias the exponent by -112 and round 13 bits away, ties to even.
        Vector<uint> odd = Vector.BitwiseAnd(Vector.ShiftRightLogical(magnitudeBits, 13), Vector<uint>.One);
        Vector<uint> normal = Vector.ShiftRightLogical(magnitudeBits - new Vector<uint>(112u << 23) + new Vector<uint>(0xFFF) + odd, 13);

        // Subnormal: beside 0.5 one unit in the last place is 2^-24, binary16's smallest step, so the addition rounds.
        Vector<uint> subnormal = Vector.AsVectorUInt32(magnitude + new Vector<float>(0.5f)) - new Vector<uint>(0x3F00_0000);

        Vector<uint> isNormal = Vector.AsVectorUInt32(Vector.GreaterThanOrEqual(magnitude, new Vector<float>(6.103515625e-05f))); // 2^-14
        return Vector.BitwiseOr(Vector.ConditionalSelect(isNormal, normal, subnormal), Vector.ShiftRightLogical(sign, 16));
    }

    private static bool TryDecodeHalf(ReadOnlySpan<ushort> source, Span<float> row)
    {
        Vector<uint> worst = Vector<uint>.Zero;
        int i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out Vector<uint> low, out Vector<uint> high);
            worst = Vector.Max(worst, Vector.BitwiseAnd(Vector.Max(Magnitude(low), Magnitude(high)), new Vector<uint>(0x7FFF)));
            HalfValue(low).CopyTo(row[i..]);
            HalfValue(high).CopyTo(row[(i + Vector<float>.Count)..]);
        }

        bool finite = Vector.LessThanAll(worst, new Vector<uint>(0x7C00));
        for (; i < source.Length; i++)
        {
            finite &= (source[i] & 0x7FFF) < 0x7C00;
            row[i] = (float)BitConverter.UInt16BitsToHalf(source[i]);
        }

        return finite;

        static Vector<uint> Magnitude(Vector<uint> half) => Vector.BitwiseAnd(half, new Vector<uint>(0x7FFF));
    }

    /// <summary>Finite binary16 bits as float32, exactly: shifted into place, then scaled by 2^112 (subnormals included).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> HalfValue(Vector<uint> half)
    {
        Vector<uint> magnitude = Vector.ShiftLeft(Vector.BitwiseAnd(half, new Vector<uint>(0x7FFF)), 13);
        Vector<uint> sign = Vector.ShiftLeft(Vector.BitwiseAnd(half, new Vector<uint>(0x8000)), 16);
        Vector<float> scaled = Vector.AsVectorSingle(magnitude) * new Vector<float>(5.192296858534828e+33f); // 2^112
        return Vector.AsVectorSingle(Vector.BitwiseOr(Vector.AsVectorUInt32(scaled), sign));
    }

    private static void EncodeBrain(ReadOnlySpan<float> row, Span<ushort> target)
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(row);
        int i = 0;
        for (; i <= row.Length - (2 * Vector<uint>.Count); i += 2 * Vector<uint>.Count)
        {
            Vector.Narrow(BrainBits(new Vector<uint>(bits[i..])), BrainBits(new Vector<uint>(bits[(i + Vector<uint>.Count)..]))).CopyTo(target[i..]);
        }

        for (; i < row.Length; i++)
        {
            uint magnitude = bits[i] & 0x7FFF_FFFF;
            magnitude = Math.Min((magnitude + 0x7FFF + ((magnitude >> 16) & 1)) >> 16, 0x7F7F);
            target[i] = (ushort)(magnitude | ((bits[i] >> 16) & 0x8000));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> BrainBits(Vector<uint> bits)
    {
        Vector<uint> magnitude = Vector.BitwiseAnd(bits, new Vector<uint>(0x7FFF_FFFF));
        Vector<uint> odd = Vector.BitwiseAnd(Vector.ShiftRightLogical(magnitude, 16), Vector<uint>.One);
        Vector<uint> rounded = Vector.ShiftRightLogical(magnitude + new Vector<uint>(0x7FFF) + odd, 16);
        Vector<uint> sign = Vector.BitwiseAnd(Vector.ShiftRightLogical(bits, 16), new Vector<uint>(0x8000));
        return Vector.BitwiseOr(Vector.Min(rounded, new Vector<uint>(0x7F7F)), sign);
    }

    private static void DecodeBrain(ReadOnlySpan<ushort> source, Span<float> row)
    {
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(row);
        int i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out Vector<uint> low, out Vector<uint> high);
            Vector.ShiftLeft(low, 16).CopyTo(bits[i..]);
            Vector.ShiftLeft(high, 16).CopyTo(bits[(i + Vector<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
        {
            bits[i] = (uint)source[i] << 16;
        }
    }

    private static void EncodeQ8(ReadOnlySpan<float> row, float largest, Span<byte> bytes)
    {
        Span<sbyte> target = MemoryMarshal.Cast<byte, sbyte>(bytes[4..]);
        if (largest < SmallestMagnitude)
        {
            bytes.Clear();
            return;
        }

        // -128 times the scale must be finite for whoever decodes it.
        largest = Math.Min(largest, 127 * LargestScale);
        float scale = largest / 127;
        float inverse = 127 / largest;
        MemoryMarshal.Write(bytes, in scale);
        int lanes = Vector<float>.Count;
        int i = 0;
        for (; i <= row.Length - (4 * lanes); i += 4 * lanes)
        {
            Vector<short> low = Vector.Narrow(Quantise(row[i..], inverse), Quantise(row[(i + lanes)..], inverse));
            Vector<short> high = Vector.Narrow(Quantise(row[(i + (2 * lanes))..], inverse), Quantise(row[(i + (3 * lanes))..], inverse));
            Vector.Narrow(low, high).CopyTo(target[i..]);
        }

        for (; i < row.Length; i++)
        {
            target[i] = (sbyte)Math.Clamp((int)MathF.Round(row[i] * inverse, MidpointRounding.ToEven), -127, 127);
        }

        // The clamp is for saturated rows; elsewhere the product exceeds 127 by an ulp at most.
        static Vector<int> Quantise(ReadOnlySpan<float> values, float inverse) =>
            Vector.Max(Vector.Min(Vector.ConvertToInt32(Vector.Round(new Vector<float>(values) * inverse)), new Vector<int>(127)), new Vector<int>(-127));
    }

    private static bool TryDecodeQ8(ReadOnlySpan<byte> bytes, Span<float> row)
    {
        float scale = MemoryMarshal.Read<float>(bytes);
        if (!(scale >= 0 && scale <= LargestScale))
        {
            return false;
        }

        ReadOnlySpan<sbyte> source = MemoryMarshal.Cast<byte, sbyte>(bytes[4..]);
        int lanes = Vector<float>.Count;
        int i = 0;
        for (; i <= source.Length - Vector<sbyte>.Count; i += Vector<sbyte>.Count)
        {
            Vector.Widen(new Vector<sbyte>(source[i..]), out Vector<short> low, out Vector<short> high);
            Vector.Widen(low, out Vector<int> first, out Vector<int> second);
            Vector.Widen(high, out Vector<int> third, out Vector<int> fourth);
            (Vector.ConvertToSingle(first) * scale).CopyTo(row[i..]);
            (Vector.ConvertToSingle(second) * scale).CopyTo(row[(i + lanes)..]);
            (Vector.ConvertToSingle(third) * scale).CopyTo(row[(i + (2 * lanes))..]);
            (Vector.ConvertToSingle(fourth) * scale).CopyTo(row[(i + (3 * lanes))..]);
        }

        for (; i < source.Length; i++)
        {
            row[i] = source[i] * scale;
        }

        return true;
    }
}
