using System.Buffers.Binary;
using System.Text;
using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>
/// Writes a GGUF file, version 3. The bytes go to a temporary file beside the target, which takes the target's name only
/// when complete: whatever goes wrong, no partial file is left under either name.
/// </summary>
internal sealed class GgufWriter
{
    private const int Alignment = GgufHeader.DefaultAlignment;
    private const int SliceBytes = 1 << 22;

    private readonly List<byte[]> _metadata = [];
    private readonly List<(string Name, ElementType Type, long[] Shape, long ByteLength, Slice Read)> _tensors = [];
    private readonly List<StoredTensor> _stored = [];

    private delegate ReadOnlySpan<byte> Slice(long offset, int length);

    public void Add(string key, uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Add(key, GgufValueType.UInt32, bytes);
    }

    public void Add(string key, string value) => Add(key, GgufValueType.String, Text(value));

    /// <summary>Copies a value as it is stored.</summary>
    public void Copy(GgufMetadata from, string key)
    {
        (GgufValueType type, long offset, long length, MappedFile file) = from.Raw(key);
        Add(key, type, file.Bytes(offset, checked((int)length)));
    }

    public void Add(string key, float value) => Add(key, GgufValueType.Float32, BitConverter.GetBytes(value));

    public void Add(StoredTensor tensor)
    {
        _stored.Add(tensor);
        _tensors.Add((tensor.Name, tensor.Type, tensor.Shape, tensor.ByteLength, (offset, length) => tensor.File.Bytes(tensor.Offset + offset, length)));
    }

    /// <summary>A tensor from memory; shape outermost first.</summary>
    public void Add(string name, ElementType type, long[] shape, byte[] data) =>
        _tensors.Add((name, type, shape, data.Length, (offset, length) => data.AsSpan((int)offset, length)));

    /// <summary>Writes the file, replacing one of the same name.</summary>
    /// <param name="path">Target.</param>
    /// <param name="progress">Told the tensor bytes written so far.</param>
    /// <param name="cancellationToken">Stops the writing.</param>
    public void Write(string path, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.partial";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20))
            {
                WriteHeader(stream);
                WriteTensors(stream, progress, cancellationToken);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            // Gone already when the move succeeded.
            File.Delete(temporary);
        }
    }

    /// <summary>What <see cref="Write"/> writes, for somebody who has the tensors' bytes elsewhere: the header, and after each tensor its padding.</summary>
    public (byte[] Header, IReadOnlyList<(StoredTensor Tensor, int Padding)> Tensors) Plan()
    {
        using var header = new MemoryStream();
        WriteHeader(header);
        return (header.ToArray(), [.. _stored.Select(static tensor => (tensor, (int)(Aligned(tensor.ByteLength) - tensor.ByteLength)))]);
    }

    private static byte[] Text(string value)
    {
        byte[] text = Encoding.UTF8.GetBytes(value);
        byte[] bytes = new byte[8 + text.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, text.Length);
        text.CopyTo(bytes, 8);
        return bytes;
    }

    private static long Aligned(long offset) => (offset + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream)
    {
        Span<byte> zeros = stackalloc byte[Alignment];
        zeros.Clear();
        stream.Write(zeros[..(int)(Aligned(stream.Position) - stream.Position)]);
    }

    private void Add(string key, GgufValueType type, ReadOnlySpan<byte> value)
    {
        byte[] name = Text(key);
        byte[] bytes = new byte[name.Length + 4 + value.Length];
        name.CopyTo(bytes, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(name.Length), (uint)type);
        value.CopyTo(bytes.AsSpan(name.Length + 4));
        _metadata.Add(bytes);
    }

    private void WriteHeader(Stream stream)
    {
        using BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(GgufHeader.Magic);
        writer.Write(3u);
        writer.Write((long)_tensors.Count);
        writer.Write((long)_metadata.Count);
        foreach (byte[] pair in _metadata)
        {
            writer.Write(pair);
        }

        long offset = 0;
        foreach ((string name, ElementType type, long[] shape, long byteLength, Slice read) in _tensors)
        {
            writer.Write(Text(name));
            writer.Write(shape.Length);
            for (int d = shape.Length - 1; d >= 0; d--)
            {
                writer.Write(shape[d]);
            }

            writer.Write(GgufTensorTypes.IdOf(type));
            writer.Write(offset);
            offset = Aligned(offset + byteLength);
        }

        writer.Flush();
        Pad(stream);
    }

    private void WriteTensors(Stream stream, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        long written = 0;
        foreach ((string name, ElementType type, long[] shape, long byteLength, Slice read) in _tensors)
        {
            for (long offset = 0; offset < byteLength; offset += SliceBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int length = (int)Math.Min(SliceBytes, byteLength - offset);
                stream.Write(read(offset, length));
                written += length;
                progress?.Report(written);
            }

            Pad(stream);
        }
    }
}
