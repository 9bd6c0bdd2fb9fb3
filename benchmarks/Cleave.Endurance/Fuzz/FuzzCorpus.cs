using System.Globalization;
using System.IO.Compression;

namespace Cleave.Endurance.Fuzz;

/// <summary>Inputs that reached something new, one zip file per target.</summary>
internal static class FuzzCorpus
{
    /// <summary>Reads a corpus; empty when there is none.</summary>
    public static List<byte[]> Load(string folder, string target)
    {
        string path = PathOf(folder, target);
        if (!File.Exists(path))
        {
            return [];
        }

        using ZipArchive zip = ZipFile.OpenRead(path);
        return [.. zip.Entries.Select(static entry =>
        {
            using Stream stream = entry.Open();
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return bytes.ToArray();
        })];
    }

    /// <summary>Writes a corpus. The same inputs give the same file.</summary>
    public static void Save(string folder, string target, IEnumerable<byte[]> inputs)
    {
        Directory.CreateDirectory(folder);
        using var zip = new ZipArchive(File.Create(PathOf(folder, target)), ZipArchiveMode.Create);
        foreach ((int i, byte[] input) in inputs.Index())
        {
            ZipArchiveEntry entry = zip.CreateEntry(i.ToString("D4", CultureInfo.InvariantCulture), CompressionLevel.SmallestSize);
            entry.LastWriteTime = new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
            using Stream stream = entry.Open();
            stream.Write(input);
        }
    }

    private static string PathOf(string folder, string target) => Path.Combine(folder, target + ".zip");
}
