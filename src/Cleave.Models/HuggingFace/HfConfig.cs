using System.Text.Json;
using Cleave.Compute;

namespace Cleave.Models.HuggingFace;

/// <summary>A checkpoint's config.json, in the spelling of transformers 4 or 5, each value checked against its sensible range.</summary>
internal sealed class HfConfig
{
    private const int MaxBytes = 4 << 20;

    private readonly JsonElement _root;

    private HfConfig(string path, JsonElement root)
    {
        Path = path;
        _root = root;
    }

    /// <summary>Path of config.json.</summary>
    public string Path { get; }

    /// <summary>"llama", "qwen3", ...</summary>
    public string ModelType => Text("model_type") ?? throw new ModelFormatException($"{Path}: lacks 'model_type'");

    /// <exception cref="ModelFormatException">No such file, too large, or no JSON object.</exception>
    public static HfConfig Read(string path) => new(path, JsonFile.Read(path, MaxBytes));

    /// <summary>Reads its bytes.</summary>
    /// <exception cref="ModelFormatException">No JSON object.</exception>
    public static HfConfig Parse(string path, ReadOnlyMemory<byte> json) => new(path, JsonFile.Parse(path, json));

    public bool Has(string name) => Find(name) is not null;

    public JsonElement? Find(string name) =>
        _root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public string? Text(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Fail(name, value, "a string is expected");

    public int Int(string name, int minimum, int maximum, int? fallback = null)
    {
        if (Find(name) is not { } value)
        {
            return fallback ?? throw new ModelFormatException($"{Path}: lacks '{name}'");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= minimum && number <= maximum
            ? (int)number
            : throw Fail(name, value, $"an integer from {minimum} to {maximum} is expected");
    }

    /// <summary>A number in the open interval (minimum, maximum).</summary>
    public double Number(string name, double minimum, double maximum, double? fallback = null) =>
        Find(name) is { } value ? Number(name, value, minimum, maximum)
        : fallback ?? throw new ModelFormatException($"{Path}: lacks '{name}'");

    public double Number(string name, JsonElement value, double minimum, double maximum) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number > minimum && number < maximum
            ? number
            : throw Fail(name, value, $"a number between {minimum} and {maximum} is expected");

    public bool Flag(string name, bool fallback = false) => Find(name) is not { } value ? fallback
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Fail(name, value, "true or false is expected");

    /// <summary>An array with an element for each layer, or null when the file has none.</summary>
    public JsonElement[]? PerLayer(string name, int layers)
    {
        if (Find(name) is not { } value)
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == layers
            ? [.. value.EnumerateArray()]
            : throw Fail(name, value, $"an array of {layers} elements is expected");
    }

    /// <summary>Refuses a value that would change the computation in a way that is not supported.</summary>
    public void Require(string name, params string[] accepted)
    {
        if (Find(name) is { } value && !accepted.Contains(value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()))
        {
            throw Fail(name, value, $"only {string.Join(" or ", accepted)} is supported");
        }
    }

    /// <summary>The configuration every family shares; a family changes what differs.</summary>
    public ModelConfig Common(bool tiedByCustom = false)
    {
        if (Find("quantization_config") is { } quantization)
        {
            string method = quantization.ValueKind == JsonValueKind.Object && quantization.TryGetProperty("quant_method", out JsonElement name)
                ? name.ToString()
                : "unknown";
            throw new ModelFormatException($"{Path}: the checkpoint is quantised by '{method}', which is not supported; take the unquantised one, or a GGUF file");
        }

        int hidden = Int("hidden_size", 1, 1 << 20);
        int heads = Int("num_attention_heads", 1, 1 << 14);
        int kvHeads = Int("num_key_value_heads", 1, 1 << 14, heads);
        if (heads % kvHeads != 0)
        {
            throw new ModelFormatException($"{Path}: 'num_key_value_heads' is {kvHeads}; it must divide the {heads} query heads");
        }

        int headDim = Int("head_dim", 1, 1 << 14, hidden / heads);
        return new ModelConfig
        {
            Architecture = ModelType,
            Name = Text("_name_or_path") is { Length: > 0 } name_ ? name_ : DirectoryName(),
            Layers = Int("num_hidden_layers", 1, 1 << 12),
            HiddenSize = hidden,
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            FeedForwardSize = Int("intermediate_size", 1, 1 << 22),
            VocabularySize = Int("vocab_size", 1, 1 << 22),
            ContextLength = Int("max_position_embeddings", 1, 1 << 28),
            NormEpsilon = (float)Number("rms_norm_eps", 0, 1, 1e-6),
            TiedEmbeddings = Flag("tie_word_embeddings", tiedByCustom),
            Rope = HfRope.Read(this, headDim),
            AttentionScale = (float)(1 / Math.Sqrt(headDim)),
            Activation = ReadActivation(),
        };
    }

    /// <summary>Windows by "layer_types", else as <paramref name="slides"/> says, else none.</summary>
    public IReadOnlyList<int>? Windows(int layers, bool honourLayerTypes, Func<int, bool> slides)
    {
        if (!Has("sliding_window"))
        {
            return null;
        }

        int window = Int("sliding_window", 1, 1 << 28);
        JsonElement[]? types = honourLayerTypes ? PerLayer("layer_types", layers) : null;
        return [.. Enumerable.Range(0, layers).Select(layer => types is null
            ? slides(layer) ? window : 0
            : types[layer].ToString() switch
            {
                "sliding_attention" => window,
                "full_attention" => 0,
                string other => throw new ModelFormatException($"{Path}: layer {layer} is of type '{other}', which is not supported"),
            })];
    }

    public ModelFormatException Fail(string name, JsonElement value, string expected)
    {
        string raw = value.GetRawText();
        return new ModelFormatException($"{Path}: '{name}' is {(raw.Length > 200 ? raw[..200] + "..." : raw)}; {expected}");
    }

    // A folder of the hub's cache is named for a commit; the model's name is further up.
    private string DirectoryName()
    {
        DirectoryInfo directory = new FileInfo(System.IO.Path.GetFullPath(Path)).Directory!;
        for (DirectoryInfo? at = directory.Parent; at is not null; at = at.Parent)
        {
            if (at.Name.StartsWith("models--", StringComparison.Ordinal))
            {
                return at.Name.Split("--")[^1];
            }
        }

        return directory.Name;
    }

    private Activation ReadActivation()
    {
        string name = Text("hidden_activation") ?? Text("hidden_act") ?? "silu";
        return name switch
        {
            "silu" or "swish" => Activation.Silu,
            "gelu_pytorch_tanh" or "gelu_new" or "gelu_fast" => Activation.GeluTanh,
            "gelu" => Activation.Gelu,
            _ => throw new ModelFormatException($"{Path}: activation '{name}' is not supported; supported: silu, gelu, gelu_pytorch_tanh"),
        };
    }
}
