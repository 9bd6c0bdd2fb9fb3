using System.Buffers.Binary;

namespace Cleave.Protocol.Migration;

/// <summary>
/// The first bytes of a TCP connection that carries an earlier one's TLS on. A claim and its proof, and nothing of the content:
/// <code>
/// preamble (client)  68  0: "clv" 1; 4: id ×16; 20: received u64; 28: from u64; 36: proof ×32
/// answer (worker)    12  0: "clv" 1; 4: received u64
/// </code>
/// A TLS record begins with 22, so the first byte tells the two kinds of connection apart. Little-endian. A claim that does not hold is answered by closing.
/// </summary>
/// <param name="Id">The move's.</param>
/// <param name="Received">Bytes of the connection that its sender has received: the other side goes on from there.</param>
/// <param name="From">Place of the first byte that follows the preamble.</param>
public readonly record struct MigrationPreamble(MigrationId Id, long Received, long From)
{
    /// <summary>Bytes of a preamble.</summary>
    public const int Bytes = ClaimBytes + MigrationKey.ProofBytes;

    /// <summary>Bytes of the answer to one that holds.</summary>
    public const int AnswerBytes = 12;

    private const int ClaimBytes = 36;

    private static ReadOnlySpan<byte> Magic => [(byte)'c', (byte)'l', (byte)'v', 1];

    /// <summary>True of the first byte of a preamble.</summary>
    public static bool MayBegin(byte first) => first == Magic[0];

    /// <summary>Reads one. What it claims is yet to be proved.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out MigrationPreamble preamble)
    {
        preamble = default;
        if (bytes.Length != Bytes || !bytes.StartsWith(Magic))
        {
            return false;
        }

        long received = BinaryPrimitives.ReadInt64LittleEndian(bytes[20..]);
        long from = BinaryPrimitives.ReadInt64LittleEndian(bytes[28..]);
        preamble = new MigrationPreamble(MigrationId.Read(bytes[4..]), received, from);
        return received >= 0 && from >= 0;
    }

    /// <summary>Writes one with its proof.</summary>
    public void Write(MigrationKey key, ulong number, Span<byte> bytes)
    {
        Magic.CopyTo(bytes);
        Id.Write(bytes[4..]);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[20..], Received);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[28..], From);
        key.Prove(number, bytes[..ClaimBytes], bytes.Slice(ClaimBytes, MigrationKey.ProofBytes));
    }

    /// <summary>True when the bytes of a preamble prove what they claim.</summary>
    public static bool IsProved(ReadOnlySpan<byte> bytes, MigrationKey key, ulong number) =>
        bytes.Length == Bytes && key.IsProved(number, bytes[..ClaimBytes], bytes[ClaimBytes..]);

    /// <summary>Writes the answer: the connection goes on.</summary>
    public static void WriteAnswer(long received, Span<byte> bytes)
    {
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[4..], received);
    }

    /// <summary>Reads the answer.</summary>
    public static bool TryReadAnswer(ReadOnlySpan<byte> bytes, out long received)
    {
        received = bytes.Length == AnswerBytes ? BinaryPrimitives.ReadInt64LittleEndian(bytes[4..]) : -1;
        return received >= 0 && bytes.StartsWith(Magic);
    }
}
