using System.Runtime.InteropServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// The stored number formats, decoded one at a time: the specification of every faster reader. Layouts follow GGUF. Each
/// number decodes to float32 as written here; all but Q4_K and Q5_K (one rounding, in the subtraction) are exact.
/// </summary>
internal static unsafe class QuantBlocks
{
    /// <summary>
    /// Every binary16 as float32. One load per block in the inner loops of the quantised types: widening by arithmetic takes
    /// ten instructions there, and the scales of one model fill a few kilobytes of the table.
    /// </summary>
    public static readonly float* F16Table = CreateF16Table();

    public static float F16(ushort bits) => F16Table[bits];

    public static float BF16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    public static ushort ToF16(float value) => BitConverter.HalfToUInt16Bits((Half)value);

    /// <summary>Rounds to nearest, ties to even; NaN stays NaN.</summary>
    public static ushort ToBF16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value)
            ? (ushort)((bits >> 16) | 0x40)
            : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Decodes count numbers, a whole number of blocks.</summary>
    public static void Unpack(ElementType type, byte* source, float* destination, int count)
    {
        int length = type.BlockLength();
        int bytes = type.BlockBytes();
        for (int start = 0; start < count; start += length)
        {
            UnpackBlock(type, source, destination + start);
            source += bytes;
        }
    }

    /// <summary>Encodes 32 numbers as one Q8_0 block: scale = max|x| / 127 in binary16, quants rounded to even.</summary>
    public static void PackQ8(float* source, byte* block)
    {
        float largest = 0;
        bool finite = true;
        for (int i = 0; i < 32; i++)
        {
            largest = MathF.Max(largest, MathF.Abs(source[i]));
            finite &= float.IsFinite(source[i]);
        }

        ushort scaleBits = finite ? ToF16(largest / 127f) : ToF16(float.NaN);
        *(ushort*)block = scaleBits;
        float scale = F16(scaleBits);
        float inverse = scale > 0 && finite ? 1f / scale : 0f;
        for (int i = 0; i < 32; i++)
        {
            // The scale was rounded to binary16, so the quotient may pass 127 slightly.
            float quant = finite ? MathF.Round(source[i] * inverse, MidpointRounding.ToEven) : 1f;
            ((sbyte*)block)[2 + i] = (sbyte)Math.Clamp(quant, -127f, 127f);
        }
    }

    private static float* CreateF16Table()
    {
        float* table = (float*)NativeMemory.AlignedAlloc((ushort.MaxValue + 1) * sizeof(float), 64);
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            table[bits] = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
        }

        return table;
    }

    private static void UnpackBlock(ElementType type, byte* block, float* destination)
    {
        switch (type)
        {
            case ElementType.F32:
                *destination = *(float*)block;
                break;
            case ElementType.F16:
                *destination = F16(*(ushort*)block);
                break;
            case ElementType.BF16:
                *destination = BF16(*(ushort*)block);
                break;
            case ElementType.Q8_0:
                UnpackQ8(block, destination);
                break;
            case ElementType.Q4_0:
                UnpackQ4(block, destination);
                break;
            case ElementType.Q4_K:
                UnpackQ4K(block, destination);
                break;
            case ElementType.Q5_K:
                UnpackQ5K(block, destination);
                break;
            case ElementType.Q6_K:
                UnpackQ6K(block, destination);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type");
        }
    }

    /// <summary>scale (binary16), 32 signed bytes: w = q · scale.</summary>
    private static void UnpackQ8(byte* block, float* destination)
    {
        float scale = F16(*(ushort*)block);
        for (int i = 0; i < 32; i++)
        {
            destination[i] = ((sbyte*)block)[2 + i] * scale;
        }
    }

    /// <summary>scale (binary16), 16 bytes: low nibbles are numbers 0-15, high nibbles 16-31: w = (q - 8) · scale.</summary>
    private static void UnpackQ4(byte* block, float* destination)
    {
        float scale = F16(*(ushort*)block);
        for (int i = 0; i < 16; i++)
        {
            destination[i] = ((block[2 + i] & 15) - 8) * scale;
            destination[i + 16] = ((block[2 + i] >> 4) - 8) * scale;
        }
    }

    /// <summary>
    /// d and dmin (binary16), 12 bytes of 6-bit scales and minima, 128 bytes of nibbles. Each 32 bytes hold two sub-blocks
    /// of 32, low nibbles first: w = (d · scale) · q - dmin · minimum.
    /// </summary>
    private static void UnpackQ4K(byte* block, float* destination)
    {
        float d = F16(*(ushort*)block);
        float dmin = F16(*(ushort*)(block + 2));
        byte* quants = block + 16;
        for (int sub = 0; sub < 8; sub++)
        {
            ScaleAndMinimum(block + 4, sub, out int scale, out int minimum);
            float factor = d * scale;
            float offset = dmin * minimum;
            byte* bytes = quants + (32 * (sub / 2));
            int shift = 4 * (sub % 2);
            for (int i = 0; i < 32; i++)
            {
                destination[(32 * sub) + i] = (factor * ((bytes[i] >> shift) & 15)) - offset;
            }
        }
    }

    /// <summary>As Q4_K, with 32 bytes of fifth bits before the nibbles: bit s of byte i belongs to number i of sub-block s.</summary>
    private static void UnpackQ5K(byte* block, float* destination)
    {
        float d = F16(*(ushort*)block);
        float dmin = F16(*(ushort*)(block + 2));
        byte* high = block + 16;
        byte* quants = block + 48;
        for (int sub = 0; sub < 8; sub++)
        {
            ScaleAndMinimum(block + 4, sub, out int scale, out int minimum);
            float factor = d * scale;
            float offset = dmin * minimum;
            byte* bytes = quants + (32 * (sub / 2));
            int shift = 4 * (sub % 2);
            for (int i = 0; i < 32; i++)
            {
                int quant = ((bytes[i] >> shift) & 15) | (((high[i] >> sub) & 1) << 4);
                destination[(32 * sub) + i] = (factor * quant) - offset;
            }
        }
    }

    /// <summary>
    /// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, d (binary16), in two halves of 128 numbers:
    /// w = (d · scale) · (q - 32).
    /// </summary>
    private static void UnpackQ6K(byte* block, float* destination)
    {
        float d = F16(*(ushort*)(block + 208));
        for (int half = 0; half < 2; half++)
        {
            byte* low = block + (64 * half);
            byte* high = block + 128 + (32 * half);
            sbyte* scales = (sbyte*)block + 192 + (8 * half);
            float* numbers = destination + (128 * half);
            for (int i = 0; i < 128; i++)
            {
                int quarter = i / 32;
                int lane = i % 32;
                int nibble = (low[lane + (32 * (quarter % 2))] >> (4 * (quarter / 2))) & 15;
                int quant = (nibble | (((high[lane] >> (2 * quarter)) & 3) << 4)) - 32;
                numbers[i] = d * scales[i / 16] * quant;
            }
        }
    }

    /// <summary>Sub-blocks 0-3 keep six bits in one byte each; 4-7 split them into a nibble and the top bits of an earlier byte.</summary>
    internal static void ScaleAndMinimum(byte* packed, int sub, out int scale, out int minimum)
    {
        if (sub < 4)
        {
            scale = packed[sub] & 63;
            minimum = packed[sub + 4] & 63;
        }
        else
        {
            scale = (packed[sub + 4] & 15) | ((packed[sub - 4] >> 6) << 4);
            minimum = (packed[sub + 4] >> 4) | ((packed[sub] >> 6) << 4);
        }
    }
}
