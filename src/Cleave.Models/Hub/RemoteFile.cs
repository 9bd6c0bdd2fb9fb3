namespace Cleave.Models.Hub;

/// <summary>A file as the hub describes it.</summary>
internal sealed class RemoteFile
{
    public required HubName Repository { get; init; }

    public required string Commit { get; init; }

    /// <summary>Path in the repository; safe.</summary>
    public required string Path { get; init; }

    /// <summary>Checksum by which the cache names it: SHA-256 of a large file, git's blob SHA-1 of a small one; hexadecimal.</summary>
    public required string Etag { get; init; }

    public required long Size { get; init; }

    /// <summary>Where its bytes are, which may be another host, for as long as that host's signature is good.</summary>
    public required Uri Location { get; set; }
}
