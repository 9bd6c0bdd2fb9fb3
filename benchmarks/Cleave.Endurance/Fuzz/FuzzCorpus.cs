using System.Buffers.Binary;
using System.IO.Compression;

namespace Cleave.Endurance.Fuzz;

/// <summary>Inputs that reached something new: one gzip file per target, each input after its length in four bytes.</summary>
internal static class FuzzCorpus
{
    /// <summary>Reads a corpus; empty when there is none.</summary>
    public static List<byte[]> Load(string folder, string target)
    {
        var inputs = new List<byte[]>();
        string path = PathOf(folder, target);
        if (!File.Exists(path))
        {
            return inputs;
        }

        using var bytes = new MemoryStream();
        using (var file = new GZipStream(File.OpenRead(path), CompressionMode.Decompress))
        {
            file.CopyTo(bytes);
        }

        for (ReadOnlySpan<byte> left = bytes.ToArray(); !left.IsEmpty;)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(left);
            inputs.Add(left.Slice(sizeof(int), length).ToArray());
            left = left[(sizeof(int) + length)..];
        }

        return inputs;
    }

    /// <summary>Writes a corpus.</summary>
    public static void Save(string folder, string target, IEnumerable<byte[]> inputs)
    {
        Directory.CreateDirectory(folder);
        using var file = new GZipStream(File.Create(PathOf(folder, target)), CompressionLevel.SmallestSize);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (byte[] input in inputs)
        {
            BinaryPrimitives.WriteInt32LittleEndian(length, input.Length);
            file.Write(length);
            file.Write(input);
        }
    }

    private static string PathOf(string folder, string target) => Path.Combine(folder, target + ".gz");
}
