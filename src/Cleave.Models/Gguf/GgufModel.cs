using Cleave.Compute;
using Cleave.Models.Families;
using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>
/// A model in one GGUF file, memory-mapped. A middle-only file (<see cref="MiddleExport"/>) states its layers in the
/// metadata keys "cleave.layers.start" and "cleave.layers.end" and has no tensors but theirs.
/// </summary>
public sealed class GgufModel : IModelSource
{
    internal const string LayersStartKey = "cleave.layers.start";
    internal const string LayersEndKey = "cleave.layers.end";

    private readonly MappedModel _model;

    private GgufModel(string path, GgufHeader header, MappedModel model)
    {
        Path = path;
        Metadata = header.Metadata;
        Tensors = header.Tensors;
        _model = model;
    }

    /// <inheritdoc />
    public string Path { get; }

    /// <summary>The file's metadata, tokenizer included.</summary>
    public GgufMetadata Metadata { get; }

    /// <inheritdoc />
    public ModelConfig Config => _model.Config;

    /// <inheritdoc />
    public LayerRange Layers => _model.Layers;

    /// <inheritdoc />
    public bool HasEnds => _model.HasEnds;

    internal IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>Maps a file and checks all of its header: types, shapes against the configuration, extents.</summary>
    /// <exception cref="ModelFormatException">Damaged, or of a version, architecture or tensor type that is not supported.</exception>
    public static GgufModel Open(string path) => Open(MappedFile.Open(path));

    /// <inheritdoc cref="Open(string)"/>
    internal static GgufModel Open(MappedFile file)
    {
        string path = file.Path;
        GgufHeader header = GgufHeader.Read(file);
        string architecture = header.Metadata.String("general.architecture")
            ?? throw new ModelFormatException($"{path}: metadata lacks 'general.architecture'");
        ModelFamily family = ModelFamily.OfGguf(architecture)
            ?? throw new ModelFormatException($"{path}: architecture '{architecture}' is not supported; supported: {ModelFamily.SupportedGguf}");
        var fields = new GgufFields(header, architecture);
        ModelConfig config = family.Configure(fields);
        var model = new MappedModel(path, config, ReadLayers(header.Metadata, config), header.Tensors, family.Layout(fields, config));
        return new GgufModel(path, header, model);
    }

    /// <inheritdoc />
    public TensorData? Layer(int layer, LayerTensor tensor) => _model.Layer(layer, tensor);

    /// <inheritdoc />
    public TensorData Expert(int layer, int expert, LayerTensor tensor) => _model.Expert(layer, expert, tensor);

    /// <inheritdoc />
    public TensorData End(EndTensor tensor) => _model.End(tensor);

    /// <summary>
    /// Refuses further requests. The mapping itself lives on until the last tensor handed out is collected, so that no
    /// pointer dangles.
    /// </summary>
    public void Dispose() => _model.Close();

    private static LayerRange ReadLayers(GgufMetadata metadata, ModelConfig config)
    {
        long start = metadata.Integer(LayersStartKey) ?? 0;
        long end = metadata.Integer(LayersEndKey) ?? config.Layers;
        return start >= 0 && start < end && end <= config.Layers
            ? new LayerRange((int)start, (int)end)
            : throw new ModelFormatException(
                $"{metadata.Path}: '{LayersStartKey}' {start} and '{LayersEndKey}' {end} are no layers of a model of {config.Layers}");
    }
}
