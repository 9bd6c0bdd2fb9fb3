using Cleave.Compute;
using Cleave.Models;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Defences;

/// <summary>
/// A model whose matrices in some layers carry a random low-rank addition: the paper's "random LoRA of local layers", and the stand-in here
/// for ends tuned in private. W' = W + scale · |W| · BA / |BA|, B and A normal.
/// </summary>
public sealed class LoraSource : IModelSource
{
    private static readonly LayerTensor[] Matrices =
    [
        LayerTensor.Query, LayerTensor.Key, LayerTensor.Value, LayerTensor.AttentionOutput, LayerTensor.Gate, LayerTensor.Up, LayerTensor.Down,
    ];

    private readonly IModelSource _inner;
    private readonly Dictionary<(int Layer, LayerTensor Role), HostMatrix> _changed = [];

    /// <param name="inner">The public model; disposed with this one.</param>
    /// <param name="device">Reads its weights.</param>
    /// <param name="layers">Layers to change.</param>
    /// <param name="rank">Rank of the addition.</param>
    /// <param name="scale">Its size (Frobenius) as a share of the matrix's own.</param>
    /// <param name="seed">Private: who knows it knows the layers.</param>
    public LoraSource(IModelSource inner, IComputeDevice device, IEnumerable<int> layers, int rank, double scale, int seed)
    {
        _inner = inner;
        var random = new Random(seed);
        foreach (int layer in layers)
        {
            foreach (LayerTensor role in Matrices)
            {
                if (inner.Layer(layer, role) is { } tensor)
                {
                    _changed[(layer, role)] = Change(device, tensor, rank, scale, random);
                }
            }
        }
    }

    /// <inheritdoc />
    public string Path => _inner.Path;

    /// <inheritdoc />
    public ModelConfig Config => _inner.Config;

    /// <inheritdoc />
    public LayerRange Layers => _inner.Layers;

    /// <inheritdoc />
    public bool HasEnds => _inner.HasEnds;

    /// <inheritdoc />
    public string LoadTransform => "random-lora";

    /// <inheritdoc />
    public TensorData? Layer(int layer, LayerTensor tensor) =>
        _changed.TryGetValue((layer, tensor), out HostMatrix? changed) ? changed.Tensor : _inner.Layer(layer, tensor);

    /// <inheritdoc />
    public TensorData Expert(int layer, int expert, LayerTensor tensor) => _inner.Expert(layer, expert, tensor);

    /// <inheritdoc />
    public TensorData End(EndTensor tensor) => _inner.End(tensor);

    /// <inheritdoc />
    public void Dispose() => _inner.Dispose();

    private static HostMatrix Change(IComputeDevice device, TensorData tensor, int rank, double scale, Random random)
    {
        using DeviceWeight weight = device.LoadWeight([tensor]);
        var changed = new HostMatrix(weight.Outputs, weight.Inputs, tensor.Name);
        DenseWeights.Read(device, weight).CopyTo(changed.Values, 0);
        var left = new HostMatrix(weight.Outputs, rank);
        var right = new HostMatrix(weight.Inputs, rank);
        GaussianFill.Apply(left.Values, random);
        GaussianFill.Apply(right.Values, random);
        var addition = new float[changed.Values.Length];
        using var product = new MatrixProduct(device);
        product.Multiply(left.Values, right, addition);
        double ratio = scale * Norm(changed.Values) / Norm(addition);
        for (int i = 0; i < addition.Length; i++)
        {
            changed.Values[i] += (float)(ratio * addition[i]);
        }

        return changed;
    }

    private static double Norm(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values)
        {
            sum += (double)value * value;
        }

        return Math.Sqrt(sum);
    }
}
