using System.Buffers.Binary;

namespace Cleave.Endurance.Fuzz;

/// <summary>Damages an input: bits, bytes, the integers parsers trip over, blocks removed, repeated, moved and taken from another input.</summary>
internal sealed class Mutator(Random random, int maxBytes)
{
    private static readonly ulong[] s_interesting =
        [0, 1, 2, 3, 16, 31, 32, 33, 64, 127, 128, 255, 256, 1023, 1024, 4096, 65_535, 65_536, 65_537, int.MaxValue, 0x80000000, uint.MaxValue, long.MaxValue, 1UL << 63, ulong.MaxValue, 0x7F800000, 0x7FC00000, 0xFF800000];

    private readonly byte[] _buffer = new byte[2 * maxBytes];
    private int _length;

    /// <summary>The mutant; valid until the next call.</summary>
    public ReadOnlySpan<byte> Mutate(byte[] parent, byte[] other)
    {
        parent.CopyTo(_buffer, 0);
        _length = parent.Length;
        for (int rounds = 1 << random.Next(4); rounds > 0; rounds--)
        {
            Change(other);
        }

        return _buffer.AsSpan(0, Math.Min(_length, maxBytes));
    }

    private void Change(byte[] other)
    {
        if (_length == 0)
        {
            _buffer[_length++] = (byte)random.Next(256);
        }

        int at = random.Next(_length);
        int block = 1 + random.Next(Math.Min(_length - at, random.Next(4) == 0 ? 512 : 16));
        switch (random.Next(9))
        {
            case 0:
                _buffer[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                _buffer[at] = (byte)random.Next(256);
                break;
            case 2:
                _buffer[at] += (byte)(random.Next(70) - 35);
                break;
            case 3:
                PutInteger(at, s_interesting[random.Next(s_interesting.Length)]);
                break;
            case 4:
                PutInteger(at, (ulong)random.Next(70));
                break;
            case 5:
                _buffer.AsSpan((at + block).._length).CopyTo(_buffer.AsSpan(at));
                _length -= block;
                break;
            case 6:
                Insert(random.Next(_length + 1), _buffer.AsSpan(at, block).ToArray());
                break;
            case 7 when other.Length > 0:
                int from = random.Next(other.Length);
                Insert(at, other.AsSpan(from, 1 + random.Next(Math.Min(other.Length - from, 256))));
                break;
            default:
                _length = random.Next(4) == 0 ? at : _length;
                break;
        }
    }

    private void PutInteger(int at, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        int width = Math.Min(1 << random.Next(4), _length - at);
        bytes[..width].CopyTo(_buffer.AsSpan(at));
    }

    private void Insert(int at, ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length <= maxBytes)
        {
            _buffer.AsSpan(at.._length).CopyTo(_buffer.AsSpan(at + bytes.Length));
            bytes.CopyTo(_buffer.AsSpan(at));
            _length += bytes.Length;
        }
    }
}
