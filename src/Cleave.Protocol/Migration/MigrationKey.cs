using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Cleave.Protocol.Migration;

/// <summary>
/// The right to carry one connection on over another TCP connection: 32 random bytes, made by the worker and told inside that connection's TLS. Never
/// sent outside of it: a move shows an id and a proof made from it. Both are other ones at every move, so what those who watch have seen is good
/// for nothing.
/// </summary>
public sealed class MigrationKey
{
    /// <summary>Bytes of the secret.</summary>
    public const int SecretBytes = 32;

    /// <summary>Bytes of an id.</summary>
    public const int IdBytes = 16;

    /// <summary>Bytes of a proof.</summary>
    public const int ProofBytes = 32;

    private readonly byte[] _secret;

    private MigrationKey(byte[] secret) => _secret = secret;

    /// <summary>A new one.</summary>
    public static MigrationKey Create() => new(RandomNumberGenerator.GetBytes(SecretBytes));

    /// <summary>Reads what <see cref="ToSecretString"/> wrote; null when it is no such thing.</summary>
    public static MigrationKey? TryParse(string? text)
    {
        Span<byte> secret = stackalloc byte[SecretBytes + 1];
        return text is { Length: <= 64 } && Convert.TryFromBase64String(text, secret, out int count) && count == SecretBytes
            ? new MigrationKey(secret[..SecretBytes].ToArray())
            : null;
    }

    /// <summary>The secret: to be told inside TLS and nowhere else.</summary>
    public string ToSecretString() => Convert.ToBase64String(_secret);

    /// <summary>What the move of this number is known by.</summary>
    public MigrationId IdOf(ulong number)
    {
        Span<byte> hash = stackalloc byte[ProofBytes];
        Hash("cleave-migration-id"u8, number, [], hash);
        return MigrationId.Read(hash);
    }

    /// <summary>Proves the right to the move of this number.</summary>
    public void Prove(ulong number, ReadOnlySpan<byte> claim, Span<byte> proof) => Hash("cleave-migration-proof"u8, number, claim, proof);

    /// <summary>True when the proof is that of this key, number and claim. In constant time.</summary>
    public bool IsProved(ulong number, ReadOnlySpan<byte> claim, ReadOnlySpan<byte> proof)
    {
        Span<byte> expected = stackalloc byte[ProofBytes];
        Prove(number, claim, expected);
        return CryptographicOperations.FixedTimeEquals(expected, proof);
    }

    private void Hash(ReadOnlySpan<byte> purpose, ulong number, ReadOnlySpan<byte> claim, Span<byte> hash)
    {
        Span<byte> numberBytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(numberBytes, number);
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _secret);
        hmac.AppendData(purpose);
        hmac.AppendData(numberBytes);
        hmac.AppendData(claim);
        hmac.GetHashAndReset(hash);
    }
}
