namespace Cleave.Models.Hub;

/// <summary>How far a pull is.</summary>
/// <param name="File">The file that last grew.</param>
/// <param name="Bytes">Bytes that are here, all files together.</param>
/// <param name="TotalBytes">Bytes there will be.</param>
public readonly record struct PullProgress(string File, long Bytes, long TotalBytes);
