using System.Text.Json;
using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Models.HuggingFace;

/// <summary>
/// The safetensors format: a length, a JSON header, the tensors' bytes. Offsets are checked against the file, against the
/// shapes, and against each other before anything is mapped.
/// </summary>
internal static class Safetensors
{
    // The largest real headers (hundreds of experts a layer) stay under a tenth of it; the format itself allows 100 MB.
    private const int MaxHeaderBytes = 64 << 20;
    private const int MaxDimensions = 8;

    /// <summary>Adds the tensors of a file to a table.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">By name.</param>
    /// <param name="skipsType">True for a tensor that may be of an unsupported type, for nothing reads it; it is left out.</param>
    /// <exception cref="ModelFormatException">Truncated, overlapping, or a name that is in the table already.</exception>
    public static void Read(string path, Dictionary<string, StoredTensor> tensors, Func<string, bool>? skipsType = null) =>
        Read(MappedFile.Open(path), tensors, skipsType);

    /// <inheritdoc cref="Read(string, Dictionary{string, StoredTensor}, Func{string, bool})"/>
    public static void Read(MappedFile file, Dictionary<string, StoredTensor> tensors, Func<string, bool>? skipsType = null)
    {
        string path = file.Path;
        foreach (Entry entry in Entries(file))
        {
            ElementType? type = entry.Type switch
            {
                "F32" => ElementType.F32,
                "F16" => ElementType.F16,
                "BF16" => ElementType.BF16,
                _ => null,
            };
            if (type is null)
            {
                if (skipsType?.Invoke(entry.Name) == true)
                {
                    continue;
                }

                throw new ModelFormatException(
                    $"{path}: tensor '{entry.Name}' is of type {entry.Type}, which is not supported; supported: F32, F16, BF16");
            }

            if (!tensors.TryAdd(entry.Name, new StoredTensor(entry.Name, type.Value, entry.Shape, entry.File, entry.Offset, entry.ByteLength)))
            {
                throw new ModelFormatException($"{path}: tensor '{entry.Name}' is in another file of the model as well");
            }
        }
    }

    /// <summary>All tensors of a file, whatever their type.</summary>
    /// <exception cref="ModelFormatException">Truncated, overlapping, or of a type the format does not define.</exception>
    public static List<Entry> Entries(string path) => Entries(MappedFile.Open(path));

    /// <inheritdoc cref="Entries(string)"/>
    public static List<Entry> Entries(MappedFile file)
    {
        string path = file.Path;
        if (file.Length < 8)
        {
            throw new ModelFormatException($"{path}: {file.Length} bytes are no safetensors file; it is truncated");
        }

        ulong headerBytes = BitConverter.ToUInt64(file.Bytes(0, 8));
        if (headerBytes > (ulong)file.Length - 8 || headerBytes > MaxHeaderBytes)
        {
            throw new ModelFormatException(
                $"{path}: states a header of {headerBytes} bytes in a file of {file.Length}; at most {MaxHeaderBytes} are accepted: truncated, or not a safetensors file");
        }

        JsonElement header = JsonFile.Parse(path, file.Bytes(8, (int)headerBytes).ToArray());
        List<Entry> entries =
        [
            .. header.EnumerateObject()
                .Where(property => property.Name != "__metadata__")
                .Select(property => ReadEntry(file, 8 + (long)headerBytes, property)),
        ];
        CheckOverlap(path, entries);
        return entries;
    }

    private static Entry ReadEntry(MappedFile file, long dataStart, JsonProperty property)
    {
        if (property.Value.ValueKind != JsonValueKind.Object
            || !property.Value.TryGetProperty("dtype", out JsonElement dtype) || dtype.ValueKind != JsonValueKind.String
            || !property.Value.TryGetProperty("shape", out JsonElement shapeArray) || shapeArray.ValueKind != JsonValueKind.Array
            || !property.Value.TryGetProperty("data_offsets", out JsonElement offsets) || offsets.ValueKind != JsonValueKind.Array
            || offsets.GetArrayLength() != 2 || shapeArray.GetArrayLength() > MaxDimensions)
        {
            throw new ModelFormatException($"{file.Path}: entry '{property.Name}' of the header is no tensor");
        }

        string type = dtype.GetString()!;
        int width = type switch
        {
            "F64" or "I64" or "U64" => 8,
            "F32" or "I32" or "U32" => 4,
            "F16" or "BF16" or "I16" or "U16" => 2,
            "I8" or "U8" or "BOOL" or "F8_E4M3" or "F8_E5M2" or "F8_E8M0" => 1,
            _ => throw new ModelFormatException($"{file.Path}: tensor '{property.Name}' is of type '{type}', which is not supported"),
        };
        long[] shape = [.. shapeArray.EnumerateArray().Select(size => Integer(file.Path, property.Name, size, int.MaxValue))];
        long start = Integer(file.Path, property.Name, offsets[0], long.MaxValue);
        long end = Integer(file.Path, property.Name, offsets[1], long.MaxValue);
        if (start > end || end > file.Length - dataStart)
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor '{property.Name}' lies at {start}..{end} of {file.Length - dataStart} bytes of data; the file is truncated or damaged");
        }

        if (!Takes(shape, width, end - start))
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor '{property.Name}' of shape {StoredTensor.Format(shape)} in {type} does not take the {end - start} bytes it lies at");
        }

        return new Entry(property.Name, type, shape, file, dataStart + start, end - start);
    }

    // True when the shape takes just these bytes; stops before the product can overflow.
    private static bool Takes(long[] shape, int width, long bytes)
    {
        Int128 product = width;
        foreach (long size in shape)
        {
            product *= size;
            if (product > long.MaxValue)
            {
                return false;
            }
        }

        return product == bytes;
    }

    private static long Integer(string path, string name, JsonElement value, long maximum) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= 0 && number <= maximum
            ? number
            : throw new ModelFormatException($"{path}: tensor '{name}' has a size or offset of {value.GetRawText()}");

    private static void CheckOverlap(string path, List<Entry> entries)
    {
        Entry? previous = null;
        foreach (Entry entry in entries.Where(entry => entry.ByteLength > 0).OrderBy(entry => entry.Offset))
        {
            if (previous is not null && entry.Offset < previous.Offset + previous.ByteLength)
            {
                throw new ModelFormatException($"{path}: tensors '{previous.Name}' and '{entry.Name}' overlap; the file is damaged");
            }

            previous = entry;
        }
    }

    /// <summary>A tensor as the header states it, checked against the file.</summary>
    internal sealed record Entry(string Name, string Type, long[] Shape, MappedFile File, long Offset, long ByteLength);
}
