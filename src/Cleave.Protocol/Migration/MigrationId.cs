using System.Buffers.Binary;

namespace Cleave.Protocol.Migration;

/// <summary>What one move of one connection is known by: 16 bytes that say nothing to others.</summary>
public readonly record struct MigrationId(ulong Low, ulong High)
{
    /// <summary>The first 16 bytes.</summary>
    public static MigrationId Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]));

    /// <summary>Writes 16 bytes.</summary>
    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Low);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], High);
    }
}
