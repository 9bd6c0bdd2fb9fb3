using System.Buffers.Binary;
using Cleave.Compute;

namespace Cleave.Models.Storage;

/// <summary>
/// The tensors of a model by role, over any container. Everything is checked once, on construction, from names, types and
/// shapes alone; no tensor's bytes are read before it is asked for.
/// </summary>
internal sealed class MappedModel
{
    private readonly string _path;
    private readonly IReadOnlyDictionary<string, StoredTensor> _tensors;
    private readonly TensorLayout _layout;
    private volatile bool _closed;

    /// <exception cref="ModelFormatException">A tensor is missing, of the wrong shape, or unknown to the architecture.</exception>
    public MappedModel(
        string path, ModelConfig config, LayerRange layers, IReadOnlyDictionary<string, StoredTensor> tensors, TensorLayout layout)
    {
        _path = path;
        _tensors = tensors;
        _layout = layout;
        Config = config;
        Layers = layers;

        var known = new HashSet<string>(StringComparer.Ordinal);
        for (int layer = layers.Start; layer < layers.End; layer++)
        {
            foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
            {
                CheckRole(layer, role, known);
            }
        }

        HasEnds = CheckEnds(known);
        foreach (string name in tensors.Keys)
        {
            if (!known.Contains(name) && !layout.Ignores(name))
            {
                throw new ModelFormatException(
                    $"{path}: tensor '{name}' has no place in architecture '{config.Architecture}' with layers {layers}; " +
                    "the file is damaged or of a variant that is not supported");
            }
        }
    }

    public ModelConfig Config { get; }

    public LayerRange Layers { get; }

    public bool HasEnds { get; }

    public TensorData? Layer(int layer, LayerTensor role)
    {
        CheckLayer(layer);
        if ((Config.Experts > 0 && TensorShapes.IsExpertRole(role)) || !_layout.Layer.TryGetValue(role, out TensorPart? part))
        {
            return null;
        }

        long[]? shape = TensorShapes.Of(Config, role);
        return shape is null || !_tensors.TryGetValue(part.Name(layer), out StoredTensor? stored) ? null : Finite(Cut(stored, part, shape, 0));
    }

    public TensorData Expert(int layer, int expert, LayerTensor role)
    {
        CheckLayer(layer);
        ArgumentOutOfRangeException.ThrowIfNegative(expert);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(expert, Config.Experts);
        if (!TensorShapes.IsExpertRole(role))
        {
            throw new ArgumentOutOfRangeException(nameof(role), role, "experts have Gate, Up and Down only");
        }

        TensorPart part = _layout.Layer[role];
        return Cut(_tensors[part.Name(layer, expert)], part, TensorShapes.Of(Config, role)!, expert);
    }

    public TensorData End(EndTensor tensor)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (!HasEnds)
        {
            throw new ModelFormatException(
                $"{_path}: holds layers {Layers} only, without the {tensor}; the trusted side needs the whole model's file");
        }

        string name = tensor switch
        {
            EndTensor.Embedding => _layout.Embedding,
            EndTensor.FinalNorm => _layout.FinalNorm,
            EndTensor.LmHead => Config.TiedEmbeddings ? _layout.Embedding : _layout.LmHead,
            _ => throw new ArgumentOutOfRangeException(nameof(tensor), tensor, "unknown end tensor"),
        };
        return Finite(_tensors[name].Map());
    }

    public void Close() => _closed = true;

    // A norm that is not finite would spoil everything after it. It is a few kilobytes, so it is looked at when it is read.
    private TensorData Finite(TensorData tensor)
    {
        if (tensor.Shape.Length != 1)
        {
            return tensor;
        }

        ReadOnlySpan<byte> bytes = tensor.Row(0);
        for (int i = 0; i < tensor.Columns; i++)
        {
            float number = tensor.Type switch
            {
                ElementType.F32 => BinaryPrimitives.ReadSingleLittleEndian(bytes[(4 * i)..]),
                ElementType.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(2 * i)..]),
                _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]) << 16),
            };
            if (!float.IsFinite(number))
            {
                throw new ModelFormatException($"{_path}: element {i} of '{tensor.Name}' is {number}; the file is damaged");
            }
        }

        return tensor;
    }

    // A role's rows of a stored tensor: all, a slice of a fused one, or one expert's of a stacked one.
    private static TensorData Cut(StoredTensor stored, TensorPart part, long[] shape, int expert)
    {
        TensorData whole = stored.Map();
        return part switch
        {
            { Stacked: true } => whole.SliceRows(expert * shape[0], shape[0]),
            { FusedRows: > 0 } => whole.SliceRows(part.RowStart, shape[0]),
            _ => whole,
        };
    }

    private void CheckLayer(int layer)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (layer < Layers.Start || layer >= Layers.End)
        {
            throw new ModelFormatException($"{_path}: layer {layer} is not in this file, which holds layers {Layers} of {Config.Layers}");
        }
    }

    private void CheckRole(int layer, LayerTensor role, HashSet<string> known)
    {
        if (TensorShapes.Of(Config, role) is not { } shape || !_layout.Layer.TryGetValue(role, out TensorPart? part))
        {
            return;
        }

        bool perExpert = Config.Experts > 0 && TensorShapes.IsExpertRole(role);
        int files = perExpert && !part.Stacked ? Config.Experts : 1;
        for (int expert = 0; expert < files; expert++)
        {
            string name = part.Name(layer, expert);
            long[] expected = perExpert && part.Stacked ? [Config.Experts, .. shape]
                : part.FusedRows > 0 ? [part.FusedRows, .. shape[1..]]
                : shape;
            if (Check(name, expected, part.Optional, known) is { } stored)
            {
                CheckType(stored, isMatrix: shape.Length == 2);
            }
        }
    }

    private bool CheckEnds(HashSet<string> known)
    {
        bool embedding = _tensors.ContainsKey(_layout.Embedding);
        bool norm = _tensors.ContainsKey(_layout.FinalNorm);
        bool head = _tensors.ContainsKey(_layout.LmHead);
        bool partial = Layers.Count != Config.Layers;
        if (!embedding && !norm && !head && partial)
        {
            return false;
        }

        Check(_layout.Embedding, [Config.VocabularySize, Config.HiddenSize], optional: false, known);
        CheckType(Check(_layout.FinalNorm, [Config.HiddenSize], optional: false, known)!, isMatrix: false);
        Check(_layout.LmHead, [Config.VocabularySize, Config.HiddenSize], Config.TiedEmbeddings, known);
        return true;
    }

    private StoredTensor? Check(string name, long[] expected, bool optional, HashSet<string> known)
    {
        if (!_tensors.TryGetValue(name, out StoredTensor? stored))
        {
            return optional
                ? null
                : throw new ModelFormatException($"{_path}: tensor '{name}' is missing; architecture '{Config.Architecture}' needs it");
        }

        known.Add(name);
        return stored.Shape.AsSpan().SequenceEqual(expected)
            ? stored
            : throw new ModelFormatException(
                $"{_path}: tensor '{name}' has shape {StoredTensor.Format(stored.Shape)}, but the configuration asks for {StoredTensor.Format(expected)}");
    }

    private void CheckType(StoredTensor stored, bool isMatrix)
    {
        if (!isMatrix && stored.Type is not (ElementType.F32 or ElementType.F16 or ElementType.BF16))
        {
            throw new ModelFormatException($"{_path}: vector '{stored.Name}' is {stored.Type}; vectors may be F32, F16 or BF16");
        }
    }
}
