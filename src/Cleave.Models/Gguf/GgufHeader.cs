using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>
/// The header of a GGUF file: where every metadata value and tensor lies. Nothing is allocated on the word of a count:
/// counts are checked against the bytes left, and against caps far above any real model.
/// </summary>
internal sealed class GgufHeader
{
    internal const uint Magic = 0x4655_4747;
    internal const int DefaultAlignment = 32;

    private const int MaxMetadataKeys = 1 << 16;
    private const int MaxTensors = 1 << 18;
    private const int MaxKeyBytes = 65535;
    private const int MaxTensorNameBytes = 256;
    private const int MaxDimensions = 4;
    private const long MaxAlignment = 1 << 20;

    // The smallest tensor entry: an empty name, one dimension, type and offset. The smallest pair: an empty key and one byte.
    private const int TensorBytes = 8 + 4 + 8 + 4 + 8;
    private const int PairBytes = 8 + 4 + 1;

    private GgufHeader(GgufMetadata metadata, Dictionary<string, StoredTensor> tensors)
    {
        Metadata = metadata;
        Tensors = tensors;
    }

    public GgufMetadata Metadata { get; }

    /// <summary>By name, in file order.</summary>
    public Dictionary<string, StoredTensor> Tensors { get; }

    /// <exception cref="ModelFormatException">The file is not GGUF version 2 or 3, or is damaged.</exception>
    public static GgufHeader Read(MappedFile file)
    {
        var cursor = new GgufCursor(file, 0);
        uint magic = cursor.ReadUInt32("the magic number");
        if (magic != Magic)
        {
            throw new ModelFormatException($"{file.Path}: starts with 0x{magic:x8}, not with 'GGUF'; it is not a GGUF file");
        }

        uint version = cursor.ReadUInt32("the version");
        if (version is not (2 or 3))
        {
            string remedy = version is 0x0200_0000 or 0x0300_0000 ? "the file is big-endian" : "convert it again";
            throw new ModelFormatException($"{file.Path}: GGUF version {version}; versions 2 and 3 (little-endian) are supported: {remedy}");
        }

        long tensorCount = cursor.ReadCount(TensorBytes, "tensor count");
        long metadataCount = cursor.ReadCount(PairBytes, "metadata count");
        if (tensorCount > MaxTensors || metadataCount > MaxMetadataKeys)
        {
            throw cursor.Fail($"{tensorCount} tensors and {metadataCount} metadata keys; at most {MaxTensors} and {MaxMetadataKeys} are accepted");
        }

        GgufMetadata metadata = ReadMetadata(file, ref cursor, metadataCount, tensorCount * TensorBytes);
        Dictionary<string, StoredTensor> tensors = ReadTensors(file, ref cursor, tensorCount, metadata);
        return new GgufHeader(metadata, tensors);
    }

    private static GgufMetadata ReadMetadata(MappedFile file, ref GgufCursor cursor, long count, long floor)
    {
        var entries = new Dictionary<string, GgufMetadata.Entry>(StringComparer.Ordinal);
        for (long i = 0; i < count; i++)
        {
            cursor.Floor = floor + ((count - i - 1) * PairBytes);
            string key = cursor.ReadString(MaxKeyBytes, $"metadata key {i}");
            GgufValueType type = ReadType(ref cursor, key);
            long rawOffset = cursor.Offset;
            GgufValueType elementType = default;
            long elements = 0;
            if (type == GgufValueType.Array)
            {
                elementType = ReadType(ref cursor, key);
                if (elementType == GgufValueType.Array)
                {
                    throw cursor.Fail($"'{key}' is an array of arrays, which no supported model uses");
                }

                int width = GgufMetadata.Width(elementType);
                elements = cursor.ReadCount(width == 0 ? 8 : width, $"value of '{key}'");
            }

            long offset = cursor.Offset;
            SkipValue(ref cursor, key, type, elementType, elements);
            if (!entries.TryAdd(key, new GgufMetadata.Entry(type, offset, elementType, elements, rawOffset, cursor.Offset)))
            {
                throw cursor.Fail($"metadata key '{key}' occurs twice");
            }
        }

        return new GgufMetadata(file, entries);
    }

    private static GgufValueType ReadType(ref GgufCursor cursor, string key)
    {
        uint type = cursor.ReadUInt32($"type of '{key}'");
        return type <= (uint)GgufValueType.Float64
            ? (GgufValueType)type
            : throw cursor.Fail($"'{key}' has value type {type}; GGUF defines 0..12");
    }

    private static void SkipValue(ref GgufCursor cursor, string key, GgufValueType type, GgufValueType elementType, long elements)
    {
        if (type == GgufValueType.String)
        {
            cursor.SkipString($"value of '{key}'");
        }
        else if (type != GgufValueType.Array)
        {
            cursor.Skip(GgufMetadata.Width(type), $"value of '{key}'");
        }
        else if (elementType == GgufValueType.String)
        {
            string what = $"an element of '{key}'";
            long floor = cursor.Floor;
            for (long i = 0; i < elements; i++)
            {
                cursor.Floor = floor + ((elements - i - 1) * sizeof(long));
                cursor.SkipString(what);
            }
        }
        else
        {
            cursor.Skip(elements * GgufMetadata.Width(elementType), $"value of '{key}'");
        }
    }

    private static Dictionary<string, StoredTensor> ReadTensors(MappedFile file, ref GgufCursor cursor, long count, GgufMetadata metadata)
    {
        long alignment = metadata.Integer("general.alignment") ?? DefaultAlignment;
        if (alignment is < 8 or > MaxAlignment || !long.IsPow2(alignment))
        {
            throw new ModelFormatException($"{file.Path}: 'general.alignment' is {alignment}; a power of two from 8 to {MaxAlignment} is expected");
        }

        var infos = new List<(string Name, ElementType Type, long[] Shape, ulong Offset, long Bytes)>();
        for (long i = 0; i < count; i++)
        {
            cursor.Floor = (count - i - 1) * TensorBytes;
            string name = cursor.ReadString(MaxTensorNameBytes, $"name of tensor {i}");
            uint dimensions = cursor.ReadUInt32($"dimension count of tensor '{name}'");
            if (dimensions is 0 or > MaxDimensions)
            {
                throw cursor.Fail($"tensor '{name}' has {dimensions} dimensions; 1 to {MaxDimensions} are expected");
            }

            long[] shape = new long[dimensions];
            for (int d = shape.Length - 1; d >= 0; d--)
            {
                // GGUF lists the contiguous dimension first; ours comes last.
                ulong size = cursor.ReadUInt64($"dimensions of tensor '{name}'");
                shape[d] = size is > 0 and <= int.MaxValue
                    ? (long)size
                    : throw cursor.Fail($"tensor '{name}' has a dimension of {size}; 1 to {int.MaxValue} is expected");
            }

            uint typeId = cursor.ReadUInt32($"type of tensor '{name}'");
            if (!GgufTensorTypes.TryFrom(typeId, out ElementType type))
            {
                throw new ModelFormatException(
                    $"{file.Path}: tensor '{name}' is of type {GgufTensorTypes.NameOf(typeId)}, which is not supported; supported: {GgufTensorTypes.SupportedNames}");
            }

            ulong offset = cursor.ReadUInt64($"offset of tensor '{name}'");
            if (offset % (ulong)alignment != 0)
            {
                throw cursor.Fail($"tensor '{name}' starts at data offset {offset}, which is not a multiple of the alignment {alignment}");
            }

            infos.Add((name, type, shape, offset, ByteLength(cursor, name, type, shape)));
        }

        return Place(file, infos, (cursor.Offset + alignment - 1) / alignment * alignment);
    }

    private static long ByteLength(GgufCursor cursor, string name, ElementType type, long[] shape)
    {
        if (shape[^1] % type.BlockLength() != 0)
        {
            throw cursor.Fail($"tensor '{name}' has rows of {shape[^1]} numbers, not a whole number of {type} blocks of {type.BlockLength()}");
        }

        Int128 bytes = type.RowBytes(shape[^1]);
        for (int i = 0; i < shape.Length - 1; i++)
        {
            bytes *= shape[i];
        }

        return bytes <= long.MaxValue
            ? (long)bytes
            : throw cursor.Fail($"tensor '{name}' of shape {StoredTensor.Format(shape)} would take {bytes} bytes");
    }

    private static Dictionary<string, StoredTensor> Place(
        MappedFile file, List<(string Name, ElementType Type, long[] Shape, ulong Offset, long Bytes)> infos, long dataStart)
    {
        var tensors = new Dictionary<string, StoredTensor>(infos.Count, StringComparer.Ordinal);
        ulong available = dataStart <= file.Length ? (ulong)(file.Length - dataStart) : 0;
        foreach ((string name, ElementType type, long[] shape, ulong offset, long bytes) in infos)
        {
            if (offset > available || (ulong)bytes > available - offset)
            {
                throw new ModelFormatException(
                    $"{file.Path}: tensor '{name}' takes {bytes} bytes at data offset {offset}, but the file has {available} bytes of data; it is truncated or damaged");
            }

            if (!tensors.TryAdd(name, new StoredTensor(name, type, shape, file, dataStart + (long)offset, bytes)))
            {
                throw new ModelFormatException($"{file.Path}: tensor '{name}' occurs twice");
            }
        }

        StoredTensor? previous = null;
        foreach (StoredTensor tensor in tensors.Values.OrderBy(tensor => tensor.Offset))
        {
            if (previous is not null && tensor.Offset < previous.Offset + previous.ByteLength)
            {
                throw new ModelFormatException(
                    $"{file.Path}: tensors '{previous.Name}' and '{tensor.Name}' overlap at byte {tensor.Offset}; the file is damaged");
            }

            previous = tensor;
        }

        return tensors;
    }
}
