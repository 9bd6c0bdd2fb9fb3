using System.Buffers.Binary;
using System.Text;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>Reads forward through a header; every length is checked against what is left of the file before it is believed.</summary>
internal struct GgufCursor(MappedFile file, long offset)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Next byte to be read.</summary>
    public long Offset { get; private set; } = offset;

    /// <summary>
    /// Fewest bytes the header must have after the thing being read. A header that arrives in parts is asked for by it: as much as is
    /// certain and never a byte past the end, where the embedding may lie.
    /// </summary>
    public long Floor { get; set; }

    public readonly long Remaining => file.Length - Offset;

    public byte ReadByte(string what) => Take(1, what)[0];

    public uint ReadUInt32(string what) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, what));

    public ulong ReadUInt64(string what) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, what));

    /// <summary>A count of things of at least <paramref name="minimumBytes"/> each.</summary>
    /// <remarks>Called for every token of a vocabulary, so <paramref name="what"/> must not be composed for each call.</remarks>
    public long ReadCount(long minimumBytes, string what)
    {
        ulong count = ReadUInt64(what);
        return count <= (ulong)(Remaining / minimumBytes)
            ? (long)count
            : throw Fail($"{what}: length or count {count}, but only {Remaining} bytes are left in the file");
    }

    public void Skip(long bytes, string what)
    {
        Need(bytes, what);
        Offset += bytes;
    }

    /// <summary>Steps over a string without reading it.</summary>
    public void SkipString(string what) => Skip(ReadCount(1, what), what);

    public string ReadString(int maxBytes, string what)
    {
        long length = ReadCount(1, what);
        if (length > maxBytes)
        {
            throw Fail($"{what} is {length} bytes long; at most {maxBytes} are accepted");
        }

        ReadOnlySpan<byte> bytes = Take((int)length, what);
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new ModelFormatException($"{file.Path}: {what} is not valid UTF-8 (byte {Offset - length + e.Index})", e);
        }
    }

    public readonly ModelFormatException Fail(string what) => new($"{file.Path}: {what} (at byte {Offset})");

    private ReadOnlySpan<byte> Take(int bytes, string what)
    {
        Need(bytes, what);
        ReadOnlySpan<byte> span = file.Bytes(Offset, bytes);
        Offset += bytes;
        return span;
    }

    private readonly void Need(long bytes, string what)
    {
        if (bytes > Remaining)
        {
            throw Fail($"the file ends inside {what}: {bytes} bytes wanted, {Remaining} left; it is truncated or damaged");
        }

        file.Require(Offset + bytes, Floor);
    }
}
