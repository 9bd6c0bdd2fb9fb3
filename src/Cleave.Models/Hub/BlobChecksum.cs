using System.Security.Cryptography;
using System.Text;

namespace Cleave.Models.Hub;

/// <summary>The checksum an etag states: SHA-256 of the bytes (64 digits), or git's SHA-1 of "blob LENGTH\0" and the bytes (40 digits).</summary>
internal sealed class BlobChecksum : IDisposable
{
    private readonly IncrementalHash _hash;

    public BlobChecksum(string etag, long size)
    {
        if (etag.Length == 64)
        {
            _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        }
        else
        {
            _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
            _hash.AppendData(Encoding.ASCII.GetBytes(FormattableString.Invariant($"blob {size}\0")));
        }
    }

    /// <summary>True for an etag of one of the two kinds.</summary>
    public static bool IsOne(string etag) => etag.Length is 40 or 64 && etag.All(char.IsAsciiHexDigitLower);

    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Lower-case hexadecimal.</summary>
    public string Finish() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();
}
