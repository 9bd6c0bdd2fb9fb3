using System.Text.Json;
using Cleave.Compute;
using Cleave.Models.Families;
using Cleave.Models.Storage;

namespace Cleave.Models.HuggingFace;

/// <summary>
/// A Hugging Face checkpoint directory: config.json and model.safetensors, or shards with their index, memory-mapped.
/// A middle-only directory states its layers as "cleave": {"layers": [start, end]} in config.json.
/// </summary>
public sealed class HfModel : IModelSource
{
    internal const string ConfigName = "config.json";
    internal const string WeightsName = "model.safetensors";

    internal const string IndexName = "model.safetensors.index.json";
    private const int MaxIndexBytes = 64 << 20;

    private readonly MappedModel _model;

    private HfModel(string path, MappedModel model, IReadOnlyDictionary<string, StoredTensor> tensors, TensorLayout layout)
    {
        Path = path;
        Tensors = tensors;
        Layout = layout;
        _model = model;
    }

    /// <inheritdoc />
    public string Path { get; }

    /// <inheritdoc />
    public ModelConfig Config => _model.Config;

    /// <inheritdoc />
    public LayerRange Layers => _model.Layers;

    /// <inheritdoc />
    public bool HasEnds => _model.HasEnds;

    internal IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    internal TensorLayout Layout { get; }

    /// <summary>Maps a checkpoint and checks all of its headers: types, shapes against the configuration, extents.</summary>
    /// <exception cref="ModelFormatException">Damaged, incomplete, or of a family or type that is not supported.</exception>
    public static HfModel Open(string directory)
    {
        HfConfig file = HfConfig.Read(System.IO.Path.Combine(directory, ConfigName));
        ModelFamily family = ModelFamily.OfHf(file.ModelType)
            ?? throw new ModelFormatException($"{file.Path}: model type '{file.ModelType}' is not supported; supported: {ModelFamily.SupportedHf}");
        ModelConfig config = family.Configure(file);
        TensorLayout layout = family.Layout(file, config);
        Dictionary<string, StoredTensor> tensors = ReadTensors(directory, layout);
        var model = new MappedModel(directory, config, ReadLayers(file, config), tensors, layout);
        return new HfModel(directory, model, tensors, layout);
    }

    /// <inheritdoc />
    public TensorData? Layer(int layer, LayerTensor tensor) => _model.Layer(layer, tensor);

    /// <inheritdoc />
    public TensorData Expert(int layer, int expert, LayerTensor tensor) => _model.Expert(layer, expert, tensor);

    /// <inheritdoc />
    public TensorData End(EndTensor tensor) => _model.End(tensor);

    /// <inheritdoc cref="Gguf.GgufModel.Dispose" />
    public void Dispose() => _model.Close();

    private static Dictionary<string, StoredTensor> ReadTensors(string directory, TensorLayout layout)
    {
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        string single = System.IO.Path.Combine(directory, WeightsName);
        string index = System.IO.Path.Combine(directory, IndexName);
        if (File.Exists(single))
        {
            Safetensors.Read(single, tensors, layout.Ignores);
            return tensors;
        }

        if (!File.Exists(index))
        {
            throw new ModelFormatException($"{directory}: has neither {WeightsName} nor {IndexName}; only safetensors checkpoints are supported");
        }

        Dictionary<string, string> shardOf = ReadIndex(index);
        foreach (string shard in shardOf.Values.Distinct(StringComparer.Ordinal))
        {
            Safetensors.Read(System.IO.Path.Combine(directory, shard), tensors, layout.Ignores);
        }

        foreach ((string name, string shard) in shardOf)
        {
            if (!layout.Ignores(name) && (!tensors.TryGetValue(name, out StoredTensor? tensor) || System.IO.Path.GetFileName(tensor.File.Path) != shard))
            {
                throw new ModelFormatException($"{index}: tensor '{name}' is not in '{shard}', where the index has it");
            }
        }

        return tensors;
    }

    /// <summary>The file of each tensor by an index, in its order.</summary>
    internal static Dictionary<string, string> ReadIndex(string index)
    {
        JsonElement root = JsonFile.Read(index, MaxIndexBytes);
        if (!root.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
        {
            throw new ModelFormatException($"{index}: lacks 'weight_map'");
        }

        Dictionary<string, string> shardOf = map.EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.ToString(), StringComparer.Ordinal);
        foreach (string shard in shardOf.Values.Distinct(StringComparer.Ordinal))
        {
            // A name from the index must not lead out of the directory.
            if (shard.Length == 0 || shard != System.IO.Path.GetFileName(shard) || shard is "." or ".." || shard.Contains('\\', StringComparison.Ordinal))
            {
                throw new ModelFormatException($"{index}: '{shard}' is no file name");
            }
        }

        return shardOf;
    }

    internal static LayerRange ReadLayers(HfConfig file, ModelConfig config)
    {
        if (file.Find("cleave") is not { } cleave)
        {
            return new LayerRange(0, config.Layers);
        }

        return cleave.ValueKind == JsonValueKind.Object && cleave.TryGetProperty("layers", out JsonElement layers)
            && layers.ValueKind == JsonValueKind.Array && layers.GetArrayLength() == 2
            && layers[0].ValueKind == JsonValueKind.Number && layers[1].ValueKind == JsonValueKind.Number
            && layers[0].TryGetInt32(out int start) && layers[1].TryGetInt32(out int end)
            && start >= 0 && start < end && end <= config.Layers
                ? new LayerRange(start, end)
                : throw file.Fail("cleave", cleave, $"{{\"layers\": [start, end]}} within the {config.Layers} layers is expected");
    }
}
