using System.Buffers.Text;
using System.Security.Cryptography;
using Cleave.Protocol.Codec;

namespace Cleave.Protocol.Frames;

/// <summary>
/// The right of a worker to bring rows to one session on the next one, shown in place of a tenant's token. Its secret follows from the
/// session's own resume secret, which does not follow from it: whoever holds the ticket can neither open sessions nor resume as the client does.
/// </summary>
/// <param name="SessionId">The session.</param>
/// <param name="Secret">16 bytes.</param>
public sealed record HopTicket(Guid SessionId, ReadOnlyMemory<byte> Secret)
{
    private const int Bytes = 2 * FrameCodec.SecretBytes;

    /// <summary>The hop secret of a session: HMAC-SHA256 of "cleave-hop-2" and its id under its resume secret, cut to 16 bytes.</summary>
    public static byte[] SecretOf(ReadOnlySpan<byte> resumeSecret, Guid sessionId) =>
        HMACSHA256.HashData(resumeSecret, [.. "cleave-hop-2"u8, .. sessionId.ToByteArray()])[..FrameCodec.SecretBytes];

    /// <summary>Id and secret in base64url.</summary>
    public string ToSecretString() => Base64Url.EncodeToString([.. SessionId.ToByteArray(), .. Secret.Span]);

    /// <summary>Leaves the secret out.</summary>
    public override string ToString() => "hop ticket";

    /// <summary>Reads what <see cref="ToSecretString"/> wrote.</summary>
    public static bool TryParse(string? text, out HopTicket? ticket)
    {
        byte[] bytes = new byte[Bytes];
        bool read = text is not null && Base64Url.IsValid(text, out int length) && length == Bytes && Base64Url.TryDecodeFromChars(text, bytes, out _);
        ticket = read ? new HopTicket(new Guid(bytes.AsSpan(0, FrameCodec.SecretBytes)), bytes.AsMemory(FrameCodec.SecretBytes)) : null;
        return read;
    }
}
