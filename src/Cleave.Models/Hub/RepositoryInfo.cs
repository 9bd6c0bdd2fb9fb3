namespace Cleave.Models.Hub;

/// <summary>What a repository holds at a revision.</summary>
/// <param name="Commit">40 hexadecimal digits.</param>
/// <param name="Files">Path and, where the hub says, size of each file.</param>
internal sealed record RepositoryInfo(string Commit, IReadOnlyList<(string Path, long? Size)> Files);
