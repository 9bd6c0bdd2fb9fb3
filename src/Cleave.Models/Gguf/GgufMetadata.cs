using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>
/// Metadata of a GGUF file, typed. Opening a file records where each value lies; a value is decoded when asked for, so a
/// process that never asks for the vocabulary never holds it. Format: ggml's gguf.md, versions 2 and 3.
/// </summary>
public sealed class GgufMetadata
{
    /// <summary>Longest string that is decoded; the largest chat templates are a thousandth of it.</summary>
    internal const int MaxStringBytes = 16 << 20;

    /// <summary>Most elements of an array that is decoded; four times the largest known vocabulary's merges.</summary>
    internal const int MaxArrayElements = 4 << 20;

    private readonly MappedFile _file;
    private readonly Dictionary<string, Entry> _entries;

    internal GgufMetadata(MappedFile file, Dictionary<string, Entry> entries)
    {
        _file = file;
        _entries = entries;
    }

    /// <summary>The metadata of a file, whatever its architecture and tensors: enough for a tokenizer or an inspection.</summary>
    /// <exception cref="ModelFormatException">Not a GGUF file of version 2 or 3, or damaged.</exception>
    public static GgufMetadata Open(string path) => GgufHeader.Read(MappedFile.Open(path)).Metadata;

    /// <summary>Every key, in file order.</summary>
    public IReadOnlyCollection<string> Keys => _entries.Keys;

    /// <summary>Path of the file, for messages.</summary>
    public string Path => _file.Path;

    /// <summary>True when the file has the key.</summary>
    public bool Contains(string key) => _entries.ContainsKey(key);

    /// <summary>The value's type, or null when the file lacks the key.</summary>
    public GgufValueType? TypeOf(string key) => _entries.TryGetValue(key, out Entry entry) ? entry.Type : null;

    /// <summary>Elements of an array, or null when the file lacks the key or it is no array.</summary>
    public long? ArrayLength(string key) =>
        _entries.TryGetValue(key, out Entry entry) && entry.Type == GgufValueType.Array ? entry.Count : null;

    /// <summary>A string, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type or is not UTF-8.</exception>
    public string? String(string key)
    {
        if (!Find(key, out Entry entry))
        {
            return null;
        }

        Expect(key, entry, entry.Type == GgufValueType.String, "a string");
        return new GgufCursor(_file, entry.Offset).ReadString(MaxStringBytes, $"value of '{key}'");
    }

    /// <summary>An integer of any width, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type or past the range of a long.</exception>
    public long? Integer(string key)
    {
        if (!Find(key, out Entry entry))
        {
            return null;
        }

        Expect(key, entry, IsInteger(entry.Type), "an integer");
        return ReadInteger(key, entry.Type, entry.Offset);
    }

    /// <summary>A floating-point number or integer, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type or not finite.</exception>
    public double? Number(string key)
    {
        if (!Find(key, out Entry entry))
        {
            return null;
        }

        Expect(key, entry, IsNumber(entry.Type), "a number");
        double value = ReadNumber(key, entry.Type, entry.Offset);
        return double.IsFinite(value) ? value : throw new ModelFormatException($"{Path}: '{key}' is {value}; it must be finite");
    }

    /// <summary>A truth value, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type, or its byte is neither 0 nor 1.</exception>
    public bool? Boolean(string key)
    {
        if (!Find(key, out Entry entry))
        {
            return null;
        }

        Expect(key, entry, entry.Type == GgufValueType.Bool, "a truth value");
        return ReadBoolean(key, entry.Offset);
    }

    /// <summary>An array of strings, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type, too long, or not UTF-8.</exception>
    public string[]? Strings(string key)
    {
        if (!FindArray(key, type => type == GgufValueType.String, "strings", out Entry entry))
        {
            return null;
        }

        var cursor = new GgufCursor(_file, entry.Offset);
        string what = $"an element of '{key}'";
        var values = new string[entry.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = cursor.ReadString(MaxStringBytes, what);
        }

        return values;
    }

    /// <summary>An array of integers of any width, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type, too long, or holds what no int can.</exception>
    public int[]? Integers(string key)
    {
        if (!FindArray(key, IsInteger, "integers", out Entry entry))
        {
            return null;
        }

        int width = Width(entry.ElementType);
        var values = new int[entry.Count];
        for (int i = 0; i < values.Length; i++)
        {
            long value = ReadInteger(key, entry.ElementType, entry.Offset + ((long)i * width));
            values[i] = value is >= int.MinValue and <= int.MaxValue
                ? (int)value
                : throw new ModelFormatException($"{Path}: element {i} of '{key}' is {value}; it must fit 32 bits");
        }

        return values;
    }

    /// <summary>An array of numbers, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type or too long.</exception>
    public float[]? Numbers(string key)
    {
        if (!FindArray(key, IsNumber, "numbers", out Entry entry))
        {
            return null;
        }

        int width = Width(entry.ElementType);
        var values = new float[entry.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)ReadNumber(key, entry.ElementType, entry.Offset + ((long)i * width));
        }

        return values;
    }

    /// <summary>An array of truth values, or null when the file lacks the key.</summary>
    /// <exception cref="ModelFormatException">The value is of another type, too long, or a byte is neither 0 nor 1.</exception>
    public bool[]? Booleans(string key)
    {
        if (!FindArray(key, type => type == GgufValueType.Bool, "truth values", out Entry entry))
        {
            return null;
        }

        var values = new bool[entry.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = ReadBoolean(key, entry.Offset + i);
        }

        return values;
    }

    /// <summary>Bytes of a fixed-width type; 0 for strings and arrays.</summary>
    internal static int Width(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 0,
    };

    /// <summary>The value as stored, type number included, for copying into another file.</summary>
    internal (GgufValueType Type, long Offset, long Length, MappedFile File) Raw(string key)
    {
        Entry entry = _entries[key];
        return (entry.Type, entry.RawOffset, entry.RawEnd - entry.RawOffset, _file);
    }

    private static bool IsInteger(GgufValueType type) => type is GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.UInt16
        or GgufValueType.Int16 or GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.UInt64 or GgufValueType.Int64;

    private static bool IsNumber(GgufValueType type) => IsInteger(type) || type is GgufValueType.Float32 or GgufValueType.Float64;

    private bool Find(string key, out Entry entry) => _entries.TryGetValue(key, out entry);

    private bool FindArray(string key, Predicate<GgufValueType> accepts, string wanted, out Entry entry)
    {
        if (!Find(key, out entry))
        {
            return false;
        }

        Expect(key, entry, entry.Type == GgufValueType.Array && accepts(entry.ElementType), $"an array of {wanted}");
        return entry.Count <= MaxArrayElements
            ? true
            : throw new ModelFormatException($"{Path}: '{key}' has {entry.Count} elements; at most {MaxArrayElements} are accepted");
    }

    private void Expect(string key, in Entry entry, [DoesNotReturnIf(false)] bool fits, string wanted)
    {
        if (!fits)
        {
            string found = entry.Type == GgufValueType.Array ? $"an array of {entry.ElementType}" : entry.Type.ToString();
            throw new ModelFormatException($"{Path}: '{key}' is {found}; {wanted} is expected");
        }
    }

    private long ReadInteger(string key, GgufValueType type, long offset)
    {
        ReadOnlySpan<byte> bytes = _file.Bytes(offset, Width(type));
        switch (type)
        {
            case GgufValueType.UInt8: return bytes[0];
            case GgufValueType.Int8: return (sbyte)bytes[0];
            case GgufValueType.UInt16: return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            case GgufValueType.Int16: return BinaryPrimitives.ReadInt16LittleEndian(bytes);
            case GgufValueType.UInt32: return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            case GgufValueType.Int32: return BinaryPrimitives.ReadInt32LittleEndian(bytes);
            case GgufValueType.Int64: return BinaryPrimitives.ReadInt64LittleEndian(bytes);
            default:
                ulong value = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
                return value <= long.MaxValue
                    ? (long)value
                    : throw new ModelFormatException($"{Path}: '{key}' is {value}; it is past every sensible value");
        }
    }

    private double ReadNumber(string key, GgufValueType type, long offset) => type switch
    {
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(_file.Bytes(offset, 4)),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(_file.Bytes(offset, 8)),
        _ => ReadInteger(key, type, offset),
    };

    private bool ReadBoolean(string key, long offset)
    {
        byte value = _file.Bytes(offset, 1)[0];
        return value <= 1 ? value == 1 : throw new ModelFormatException($"{Path}: '{key}' holds the byte {value} where a truth value is expected");
    }

    /// <summary>Where a value lies.</summary>
    /// <param name="Type">Its type.</param>
    /// <param name="Offset">First byte of the value, past an array's type and count.</param>
    /// <param name="ElementType">Type of an array's elements.</param>
    /// <param name="Count">Elements of an array.</param>
    /// <param name="RawOffset">First byte of the value as stored.</param>
    /// <param name="RawEnd">One past its last byte.</param>
    internal readonly record struct Entry(
        GgufValueType Type, long Offset, GgufValueType ElementType, long Count, long RawOffset, long RawEnd);
}
