using System.Buffers.Binary;
using System.Text.Json;
using Cleave.Models.Storage;

namespace Cleave.Models.HuggingFace;

/// <summary>Writes stored tensors as one safetensors file.</summary>
internal static class SafetensorsWriter
{
    private const int SliceBytes = 1 << 22;

    public static void Write(string path, IReadOnlyList<StoredTensor> tensors, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        using FileStream stream = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20);
        stream.Write(Prefix(tensors));
        long written = 0;
        foreach (StoredTensor tensor in tensors)
        {
            for (long offset = 0; offset < tensor.ByteLength; offset += SliceBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int slice = (int)Math.Min(SliceBytes, tensor.ByteLength - offset);
                stream.Write(tensor.File.Bytes(tensor.Offset + offset, slice));
                written += slice;
                progress?.Report(written);
            }
        }

        stream.Flush(flushToDisk: true);
    }

    /// <summary>All that comes before the tensors' bytes, which follow one upon another.</summary>
    public static byte[] Prefix(IReadOnlyList<StoredTensor> tensors)
    {
        byte[] header = Header(tensors);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        return [.. length, .. header];
    }

    private static byte[] Header(IReadOnlyList<StoredTensor> tensors)
    {
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json))
        {
            long offset = 0;
            writer.WriteStartObject();
            foreach (StoredTensor tensor in tensors)
            {
                writer.WriteStartObject(tensor.Name);
                writer.WriteString("dtype", tensor.Type.ToString());
                writer.WriteStartArray("shape");
                foreach (long size in tensor.Shape)
                {
                    writer.WriteNumberValue(size);
                }

                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(offset);
                writer.WriteNumberValue(offset += tensor.ByteLength);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        // Spaces up to a multiple of eight, so that the data is aligned.
        json.Write("       "u8[..(int)((8 - (json.Length % 8)) % 8)]);
        return json.ToArray();
    }
}
