namespace Cleave.Models.Storage;

/// <summary>A file of which only the first bytes are here was read past them.</summary>
/// <param name="path">The file.</param>
/// <param name="end">One past the last byte that was wanted.</param>
internal sealed class MissingBytesException(string path, long end) : Exception($"{path}: bytes up to {end} are not here")
{
    /// <summary>One past the last byte that was wanted.</summary>
    public long End { get; } = end;
}
