namespace Cleave.Models.Hub;

/// <summary>A stretch of a file to be made: bytes of a remote file, or bytes that are known.</summary>
/// <param name="Length">Bytes.</param>
internal abstract record Piece(long Length)
{
    /// <summary>Bytes [Offset, Offset + Length) of a remote file.</summary>
    public sealed record Remote(RemoteFile File, long Offset, long Length) : Piece(Length);

    /// <summary>Known bytes.</summary>
    public sealed record Known(ReadOnlyMemory<byte> Bytes) : Piece(Bytes.Length);
}
