using System.Text;
using Cleave.Models.Gguf;

namespace Cleave.Models.Tests.Gguf;

/// <summary>Writes GGUF headers as hostile as a test wants them.</summary>
internal sealed class GgufBytes
{
    private readonly List<byte> _pairs = [];
    private readonly List<byte> _infos = [];

    public uint Version { get; set; } = 3;

    public uint Magic { get; set; } = 0x4655_4747;

    public ulong? MetadataCount { get; set; }

    public ulong? TensorCount { get; set; }

    public long DataBytes { get; set; }

    private ulong Pairs { get; set; }

    private ulong Infos { get; set; }

    public GgufBytes Pair(string key, GgufValueType type, params byte[] value) => Pair(Encoding.UTF8.GetBytes(key), (uint)type, value);

    public GgufBytes Pair(byte[] key, uint type, params byte[] value)
    {
        Text(_pairs, key);
        _pairs.AddRange(BitConverter.GetBytes(type));
        _pairs.AddRange(value);
        Pairs++;
        return this;
    }

    public GgufBytes Pair(string key, uint value) => Pair(key, GgufValueType.UInt32, BitConverter.GetBytes(value));

    public GgufBytes Pair(string key, float value) => Pair(key, GgufValueType.Float32, BitConverter.GetBytes(value));

    public GgufBytes Pair(string key, string value) => Pair(key, GgufValueType.String, Text(Encoding.UTF8.GetBytes(value)));

    /// <summary>Dimensions in the file's order, the contiguous one first.</summary>
    public GgufBytes Tensor(string name, uint type, ulong offset, params ulong[] dimensions)
    {
        Text(_infos, Encoding.UTF8.GetBytes(name));
        _infos.AddRange(BitConverter.GetBytes((uint)dimensions.Length));
        foreach (ulong dimension in dimensions)
        {
            _infos.AddRange(BitConverter.GetBytes(dimension));
        }

        _infos.AddRange(BitConverter.GetBytes(type));
        _infos.AddRange(BitConverter.GetBytes(offset));
        Infos++;
        return this;
    }

    /// <summary>Length and bytes, as the format stores strings.</summary>
    public static byte[] Text(byte[] text) => [.. BitConverter.GetBytes((ulong)text.Length), .. text];

    /// <summary>Writes the file; its data is a hole of zeros.</summary>
    public string WriteTo(string path)
    {
        using FileStream stream = File.Create(path);
        using BinaryWriter writer = new(stream);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write(TensorCount ?? Infos);
        writer.Write(MetadataCount ?? Pairs);
        writer.Write([.. _pairs]);
        writer.Write([.. _infos]);
        writer.Flush();
        stream.SetLength(((stream.Length + 31) / 32 * 32) + DataBytes);
        return path;
    }

    private static void Text(List<byte> bytes, byte[] text) => bytes.AddRange(Text(text));
}
