using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Models;

/// <summary>
/// How many bytes the parts of a model take, from names, types and shapes: no matrix is read, and none is quantised to find out.
/// </summary>
public sealed class ModelSizes
{
    private readonly long[] _layers;

    private ModelSizes(IModelSource source, WeightPrecision precision)
    {
        Precision = precision;
        Layers = source.Layers;
        _layers = [.. Enumerable.Range(Layers.Start, Layers.Count).Select(layer => TensorsOf(source, layer).Sum(pair => Bytes(pair.Tensor, pair.Role == LayerTensor.Router)))];
        if (source.HasEnds)
        {
            // Rows of it are looked up, none multiplied: it is not packed.
            EmbeddingBytes = Bytes(source.End(EndTensor.Embedding), keep: precision == WeightPrecision.Packed);
            FinalNormBytes = Bytes(source.End(EndTensor.FinalNorm), keep: false);
            LmHeadBytes = Bytes(source.End(EndTensor.LmHead), keep: false);
        }
    }

    /// <summary>What loading does to the matrices.</summary>
    public WeightPrecision Precision { get; }

    /// <summary>Layers in the file.</summary>
    public LayerRange Layers { get; }

    /// <summary>Bytes of each layer in the file, the first of <see cref="Layers"/> first.</summary>
    public IReadOnlyList<long> LayerBytes => _layers;

    /// <summary>Bytes of the embedding; 0 in a middle-only file.</summary>
    public long EmbeddingBytes { get; }

    /// <summary>Bytes of the final norm.</summary>
    public long FinalNormBytes { get; }

    /// <summary>Bytes of the LM head; those of the embedding when it is tied to it.</summary>
    public long LmHeadBytes { get; }

    /// <summary>Measures a model as it will be loaded.</summary>
    /// <param name="source">The model.</param>
    /// <param name="precision">Measures it as if it were loaded so; null takes how it was opened.</param>
    public static ModelSizes Of(IModelSource source, WeightPrecision? precision = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return source is QuantizedModel quantized
            ? new ModelSizes(quantized.Source, precision ?? WeightPrecision.Q8)
            : new ModelSizes(source, precision ?? WeightPrecision.Stored);
    }

    /// <summary>Bytes of some layers.</summary>
    public long BytesOf(LayerRange range) => _layers.Skip(range.Start - Layers.Start).Take(range.Count).Sum();

    /// <summary>Every tensor of a layer, experts included, with its role.</summary>
    public static IEnumerable<(LayerTensor Role, TensorData Tensor)> TensorsOf(IModelSource source, int layer)
    {
        ArgumentNullException.ThrowIfNull(source);
        foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
        {
            for (int expert = 0; source.Config.Experts > 0 && TensorShapes.IsExpertRole(role) && expert < source.Config.Experts; expert++)
            {
                yield return (role, source.Expert(layer, expert, role));
            }

            if (source.Layer(layer, role) is { } tensor)
            {
                yield return (role, tensor);
            }
        }
    }

    private long Bytes(TensorData tensor, bool keep) => Precision switch
    {
        WeightPrecision.Q8 when !keep && Q8Encoder.Applies(tensor) => tensor.Rows * ElementType.Q8_0.RowBytes(tensor.Columns),
        WeightPrecision.Packed when !keep && tensor.Shape.Length > 1 => CpuDevice.PackedBytes(tensor.Type, tensor.Rows, tensor.Columns) ?? tensor.ByteLength,
        _ => tensor.ByteLength,
    };
}
