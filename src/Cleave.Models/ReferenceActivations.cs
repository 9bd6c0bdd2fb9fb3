using System.Globalization;
using System.Runtime.InteropServices;
using Cleave.Models.HuggingFace;

namespace Cleave.Models;

/// <summary>
/// What a reference implementation computed on a checkpoint, as a safetensors file: "input_ids" [n], "layer_k" [n, hidden]
/// (the output of decoder layer k before the final norm), "logits" [n, vocabulary], and a greedy continuation as
/// "greedy_prompt" and "greedy_output".
/// </summary>
public sealed class ReferenceActivations
{
    private const long MaxBytes = 1L << 31;

    private readonly Dictionary<string, Safetensors.Entry> _entries;

    private ReferenceActivations(string path, Dictionary<string, Safetensors.Entry> entries)
    {
        Path = path;
        _entries = entries;
        InputIds = Ids("input_ids") ?? throw new ModelFormatException($"{path}: lacks 'input_ids'");
        GreedyPrompt = Ids("greedy_prompt");
        GreedyOutput = Ids("greedy_output");
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Token ids of the compared pass.</summary>
    public IReadOnlyList<int> InputIds { get; }

    /// <summary>Prompt of the greedy continuation, if there is one.</summary>
    public IReadOnlyList<int>? GreedyPrompt { get; }

    /// <summary>The greedy continuation.</summary>
    public IReadOnlyList<int>? GreedyOutput { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="ModelFormatException">Damaged, or without "input_ids".</exception>
    public static ReferenceActivations Open(string path) =>
        new(path, Safetensors.Entries(path).ToDictionary(entry => entry.Name, StringComparer.Ordinal));

    /// <summary>Output of a layer, [ids, <paramref name="hiddenSize"/>]; null when the file has none.</summary>
    /// <exception cref="ModelFormatException">The tensor has another shape or type.</exception>
    public float[]? Layer(int layer, int hiddenSize) =>
        Numbers(string.Create(CultureInfo.InvariantCulture, $"layer_{layer}"), hiddenSize);

    /// <summary>Logits, [ids, <paramref name="vocabularySize"/>]; null when the file has none.</summary>
    /// <exception cref="ModelFormatException">The tensor has another shape or type.</exception>
    public float[]? Logits(int vocabularySize) => Numbers("logits", vocabularySize);

    private int[]? Ids(string name)
    {
        if (!_entries.TryGetValue(name, out Safetensors.Entry? entry))
        {
            return null;
        }

        Check(entry, entry.Shape.Length == 1 && entry.Type is "I32" or "I64", "I32 or I64 of one dimension");
        ReadOnlySpan<byte> bytes = entry.File.Bytes(entry.Offset, (int)entry.ByteLength);
        return entry.Type == "I32"
            ? MemoryMarshal.Cast<byte, int>(bytes).ToArray()
            : [.. MemoryMarshal.Cast<byte, long>(bytes).ToArray().Select(id => checked((int)Math.Clamp(id, int.MinValue, int.MaxValue)))];
    }

    private float[]? Numbers(string name, int columns)
    {
        if (!_entries.TryGetValue(name, out Safetensors.Entry? entry))
        {
            return null;
        }

        bool fits = entry.Type == "F32" && entry.Shape.AsSpan().SequenceEqual([InputIds.Count, columns]);
        Check(entry, fits, $"F32 [{InputIds.Count}, {columns}]");
        return MemoryMarshal.Cast<byte, float>(entry.File.Bytes(entry.Offset, (int)entry.ByteLength)).ToArray();
    }

    private void Check(Safetensors.Entry entry, bool fits, string expected)
    {
        if (!fits || entry.ByteLength >= MaxBytes)
        {
            throw new ModelFormatException(
                $"{Path}: '{entry.Name}' is {entry.Type} [{string.Join(", ", entry.Shape)}]; {expected} is expected");
        }
    }
}
