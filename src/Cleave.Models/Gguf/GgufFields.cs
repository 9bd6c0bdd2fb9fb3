using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>Reads an architecture's own metadata keys ("llama.block_count"), each checked against its sensible range.</summary>
internal sealed class GgufFields(GgufHeader header, string architecture)
{
    private const string RopeFactorsTensor = "rope_freqs.weight";

    public GgufMetadata Metadata => header.Metadata;

    public bool HasTensor(string name) => header.Tensors.ContainsKey(name);

    /// <summary>The configuration every family shares; a family changes what differs.</summary>
    public ModelConfig Common(RopeLayout ropeLayout)
    {
        int hidden = Int("embedding_length", 1, 1 << 20);
        int heads = Int("attention.head_count", 1, 1 << 14);
        int headDim = Int("attention.key_length", 1, 1 << 14, hidden / heads);
        int valueDim = Int("attention.value_length", 1, 1 << 14, headDim);
        if (valueDim != headDim)
        {
            throw Fail("attention.value_length", valueDim, $"it must equal the key length {headDim}");
        }

        int kvHeads = Int("attention.head_count_kv", 1, 1 << 14, heads);
        if (heads % kvHeads != 0)
        {
            throw Fail("attention.head_count_kv", kvHeads, $"it must divide the {heads} query heads");
        }

        int experts = Int("expert_count", 0, 1 << 12, 0);
        return new ModelConfig
        {
            Architecture = architecture,
            Name = Metadata.String("general.name") ?? "",
            Layers = Int("block_count", 1, 1 << 12),
            HiddenSize = hidden,
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            FeedForwardSize = experts > 0 && Metadata.Contains(Key("expert_feed_forward_length"))
                ? Int("expert_feed_forward_length", 1, 1 << 22)
                : Int("feed_forward_length", 1, 1 << 22),
            VocabularySize = Vocabulary(),
            ContextLength = Int("context_length", 1, 1 << 28),
            NormEpsilon = Epsilon(),
            TiedEmbeddings = !HasTensor(GgufLayout.LmHead),
            Rope = Rope(ropeLayout, headDim),
            AttentionScale = (float)(1 / Math.Sqrt(headDim)),
            Experts = experts,
            ExpertsPerToken = experts > 0 ? Int("expert_used_count", 1, experts) : 0,
        };
    }

    /// <summary>An integer key, or one value shared by all layers where the file lists it per layer.</summary>
    public int Int(string name, int minimum, int maximum, int? fallback = null)
    {
        string key = Key(name);
        long value;
        if (Metadata.TypeOf(key) == GgufValueType.Array)
        {
            int[] perLayer = Metadata.Integers(key)!;
            value = perLayer.Length > 0 && perLayer.AsSpan().Count(perLayer[0]) == perLayer.Length
                ? perLayer[0]
                : throw new ModelFormatException($"{Metadata.Path}: '{key}' differs between layers, which is not supported");
        }
        else
        {
            value = Metadata.Integer(key) ?? fallback ?? throw new ModelFormatException($"{Metadata.Path}: metadata lacks '{key}'");
        }

        return value >= minimum && value <= maximum ? (int)value : throw Fail(name, value, $"{minimum} to {maximum} is expected");
    }

    /// <summary>A number in the open interval (minimum, maximum).</summary>
    public double Number(string name, double minimum, double maximum, double? fallback = null)
    {
        if (!Metadata.Contains(Key(name)))
        {
            return fallback ?? throw new ModelFormatException($"{Metadata.Path}: metadata lacks '{Key(name)}'");
        }

        double value = Metadata.Number(Key(name))!.Value;
        return value > minimum && value < maximum ? value : throw Fail(name, value, $"more than {minimum} and less than {maximum} is expected");
    }

    /// <summary>The rotary table of the file: plain, or with the per-pair factors of "rope_freqs.weight" (Llama 3.1).</summary>
    public RopeTable Rope(RopeLayout layout, int headDim, double fallbackBase = 10000)
    {
        RefuseRopeScaling();
        double[] frequencies = RopeFrequencies.Plain(Number("rope.freq_base", 0, 1e12, fallbackBase), RotatedDimensions(headDim));
        if (header.Tensors.TryGetValue(RopeFactorsTensor, out StoredTensor? factors))
        {
            Divide(frequencies, factors);
        }

        return new RopeTable(frequencies, layout);
    }

    /// <summary>A table without the file's factors.</summary>
    public RopeTable PlainRope(RopeLayout layout, int headDim, double frequencyBase) =>
        new(RopeFrequencies.Plain(frequencyBase, RotatedDimensions(headDim)), layout);

    /// <summary>The file's window in the layers that slide, or null when it states none and the family has no custom.</summary>
    public IReadOnlyList<int>? Windows(Func<int, bool> slides, int fallback = 0)
    {
        int window = Int("attention.sliding_window", 0, 1 << 28, fallback);
        return window == 0 ? null : [.. Enumerable.Range(0, Int("block_count", 1, 1 << 12)).Select(layer => slides(layer) ? window : 0)];
    }

    /// <summary>Refuses files with tensors that stand for a variant without a reference.</summary>
    public void RefuseTensors(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (HasTensor(name))
            {
                throw new ModelFormatException($"{Metadata.Path}: tensor '{name}' stands for a RoPE variant that is not supported (LongRoPE)");
            }
        }
    }

    public string Key(string name) => $"{architecture}.{name}";

    public ModelFormatException Fail(string name, object value, string expected) =>
        new($"{Metadata.Path}: '{Key(name)}' is {value}; {expected}");

    private static void CheckFactors(string path, StoredTensor factors, int pairs)
    {
        if (factors.Type != ElementType.F32 || factors.Shape.Length != 1 || factors.Shape[0] != pairs)
        {
            throw new ModelFormatException(
                $"{path}: tensor '{factors.Name}' is {factors.Type} {StoredTensor.Format(factors.Shape)}; F32 [{pairs}] is expected");
        }
    }

    private int RotatedDimensions(int headDim)
    {
        int dimensions = Int("rope.dimension_count", 2, headDim, headDim);
        return dimensions % 2 == 0 ? dimensions : throw Fail("rope.dimension_count", dimensions, "it must be even");
    }

    private void Divide(double[] frequencies, StoredTensor factors)
    {
        CheckFactors(Metadata.Path, factors, frequencies.Length);
        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(factors.File.Bytes(factors.Offset, (int)factors.ByteLength));
        for (int i = 0; i < frequencies.Length; i++)
        {
            frequencies[i] = float.IsFinite(values[i]) && values[i] > 0
                ? frequencies[i] / values[i]
                : throw new ModelFormatException($"{Metadata.Path}: element {i} of '{factors.Name}' is {values[i]}; it must be positive");
        }
    }

    // The variants below have no reference to be checked against here, and a wrong rotation is a silently worse model.
    private void RefuseRopeScaling()
    {
        string type = Metadata.String(Key("rope.scaling.type")) ?? "none";
        double factor = Metadata.Number(Key("rope.scaling.factor")) ?? Metadata.Number(Key("rope.scale_linear")) ?? 1;
        if (type != "none" && !(type == "linear" && factor == 1))
        {
            throw new ModelFormatException(
                $"{Metadata.Path}: RoPE scaling '{type}' (factor {factor}) is not supported; supported: none, and Llama 3's through '{RopeFactorsTensor}'");
        }

        if (type == "none" && factor != 1)
        {
            throw Fail("rope.scaling.factor", factor, "linear RoPE scaling is not supported");
        }
    }

    private float Epsilon()
    {
        float epsilon = (float)Number("attention.layer_norm_rms_epsilon", 0, 1);
        return epsilon > 0 ? epsilon : throw Fail("attention.layer_norm_rms_epsilon", epsilon, "it must be positive");
    }

    // Older files leave the size to the embedding; a middle-only file has no embedding and states it.
    public int Vocabulary()
    {
        const int max = 1 << 22;
        if (Metadata.Contains(Key("vocab_size")))
        {
            return Int("vocab_size", 1, max);
        }

        if (header.Tensors.TryGetValue(GgufLayout.Embedding, out StoredTensor? embedding))
        {
            return embedding.Shape.Length == 2 && embedding.Shape[0] <= max
                ? (int)embedding.Shape[0]
                : throw new ModelFormatException($"{Metadata.Path}: tensor '{embedding.Name}' has shape {StoredTensor.Format(embedding.Shape)}; [vocabulary, hidden] is expected");
        }

        throw new ModelFormatException($"{Metadata.Path}: neither '{Key("vocab_size")}' nor tensor '{GgufLayout.Embedding}' tells the vocabulary's size");
    }
}
