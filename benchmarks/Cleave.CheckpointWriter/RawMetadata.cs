using System.Buffers.Binary;
using System.Text;

namespace Cleave.CheckpointWriter;

/// <summary>The key-value pairs of a GGUF file as they lie in it, so that a tokenizer is carried over byte for byte.</summary>
internal sealed class RawMetadata
{
    private readonly byte[] _bytes;
    private int _at;

    private RawMetadata(byte[] bytes) => _bytes = bytes;

    /// <summary>Keys in file order, each with type and value as stored.</summary>
    public static IReadOnlyList<(string Key, byte[] TypeAndValue)> Read(string path)
    {
        // The pairs are at the start; the bundled models' take well under 4 MB.
        using FileStream stream = File.OpenRead(path);
        var bytes = new byte[Math.Min(stream.Length, 16 << 20)];
        stream.ReadExactly(bytes);
        var reader = new RawMetadata(bytes) { _at = 16 };
        long count = reader.Int64();
        var pairs = new List<(string, byte[])>();
        for (long i = 0; i < count; i++)
        {
            string key = reader.Text();
            int start = reader._at;
            reader.Skip((int)BinaryPrimitives.ReadUInt32LittleEndian(reader.Take(4)));
            pairs.Add((key, bytes[start..reader._at]));
        }

        return pairs;
    }

    private void Skip(int type)
    {
        switch (type)
        {
            case 8:
                Text();
                break;
            case 9:
                int element = (int)BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                long count = Int64();
                for (long i = 0; i < count; i++)
                {
                    Skip(element);
                }

                break;
            default:
                Take(type switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, 10 or 11 or 12 => 8, _ => throw new InvalidDataException($"metadata type {type}") });
                break;
        }
    }

    private string Text() => Encoding.UTF8.GetString(Take(checked((int)Int64())));

    private long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    private ReadOnlySpan<byte> Take(int length)
    {
        ReadOnlySpan<byte> span = _bytes.AsSpan(_at, length);
        _at += length;
        return span;
    }
}
