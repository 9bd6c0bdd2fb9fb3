using System.Buffers.Binary;

namespace Cleave.Fuzzing;

/// <summary>One change to the bytes of a valid file.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Where">Where, as a share of the file.</param>
/// <param name="Value">With what.</param>
internal readonly record struct Mutation(int Kind, double Where, uint Value)
{
    private const int MaxBytes = 1 << 18;

    private static readonly ulong[] Numbers =
    [
        0, 1, 2, 3, 7, 8, 9, 31, 32, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 20, int.MaxValue, 0x8000_0000, uint.MaxValue, 1UL << 32,
        1UL << 40, long.MaxValue, 1UL << 63, ulong.MaxValue - 7, ulong.MaxValue, 0x7F80_0000, 0x7FC0_0000, 0x7FF0_0000_0000_0000,
    ];

    private static readonly string[] Words =
    [
        "0", "-1", "1e999", "-0.0", "1e-320", "99999999999999999999", "2147483648", "null", "true", "[]", "{}", "\"\"", "\"\\ud800\"", "\"\\u0000\"", "[[[[[[[[",
        "\"yarn\"", "\"longrope\"", "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", "NaN", ",", "}", "\"rope_type\":\"linear\",", "\"layer_types\":[],",
    ];

    /// <summary>Up to eight changes.</summary>
    public static Gen<Mutation[]> Several { get; } =
        Gen.Select(Gen.Int[0, 9], Gen.Double[0, 1], Gen.UInt, static (kind, where, value) => new Mutation(kind, where, value)).Array[1, 8];

    /// <summary>A changed copy.</summary>
    public static byte[] Apply(byte[] seed, byte[] other, IEnumerable<Mutation> mutations)
    {
        byte[] bytes = seed;
        foreach (Mutation mutation in mutations)
        {
            bytes = mutation.Apply(bytes, other);
        }

        return bytes.Length <= MaxBytes ? bytes : bytes[..MaxBytes];
    }

    private byte[] Apply(byte[] bytes, byte[] other)
    {
        if (bytes.Length == 0)
        {
            return bytes;
        }

        // Headers come first: half of the changes go to the first eighth.
        int at = (int)((Value & 1) == 0 ? Where * (bytes.Length - 1) : Where * Where * Where * (bytes.Length - 1));
        int length = Math.Min(bytes.Length - at, 1 + (int)((Value >> 8) % 64));
        switch (Kind)
        {
            case 0:
                return Changed(bytes, at, [(byte)(bytes[at] ^ (1 << (int)(Value >> 1 & 7)))]);
            case 1:
                return Changed(bytes, at, [(byte)(Value >> 8)]);
            case 2:
                byte[] number = new byte[8];
                BinaryPrimitives.WriteUInt64LittleEndian(number, Numbers[(int)((Value >> 1) % (uint)Numbers.Length)]);
                return Changed(bytes, at, number.AsSpan(0, (Value & 2) == 0 ? 4 : 8));
            case 3:
                return bytes[..at];
            case 4:
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 5:
                return [.. bytes[..(at + length)], .. bytes[at..]];
            case 6:
                int from = (int)(Where * Math.Max(0, other.Length - 1));
                return [.. bytes[..at], .. other[from..Math.Min(other.Length, from + (8 * length))], .. bytes[Math.Min(bytes.Length, at + length)..]];
            case 7:
                return Word(bytes, at);
            case 8:
                return [.. bytes[..at], .. Enumerable.Repeat((byte)"[{\"("[(int)(Value >> 1) & 3], 1 + (int)(Value >> 20)), .. bytes[at..]];
            default:
                // A run of one value: zeros, ones, or a lone surrogate's first byte over and over.
                return Changed(bytes, at, [.. Enumerable.Repeat((byte)(Value >> 24), length)]);
        }
    }

    private static byte[] Changed(byte[] bytes, int at, ReadOnlySpan<byte> with)
    {
        byte[] copy = [.. bytes];
        with[..Math.Min(with.Length, copy.Length - at)].CopyTo(copy.AsSpan(at));
        return copy;
    }

    // In place of the JSON value or the word at a place.
    private byte[] Word(byte[] bytes, int at)
    {
        int start = at;
        while (start > 0 && !IsBreak(bytes[start - 1]))
        {
            start--;
        }

        int end = at;
        while (end < bytes.Length && !IsBreak(bytes[end]))
        {
            end++;
        }

        return [.. bytes[..start], .. System.Text.Encoding.UTF8.GetBytes(Words[(int)((Value >> 1) % (uint)Words.Length)]), .. bytes[Math.Max(start, end)..]];
    }

    private static bool IsBreak(byte b) => b is (byte)',' or (byte)':' or (byte)'[' or (byte)']' or (byte)'{' or (byte)'}' or (byte)' ';
}
