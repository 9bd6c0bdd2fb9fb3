using Cleave.Compute;
using Cleave.Models;

namespace Cleave.PrivacyLab.Weights;

/// <summary>A model some of whose layer tensors were replaced by others (<see cref="WeightChange"/>).</summary>
/// <param name="inner">The model; disposed with this one.</param>
/// <param name="transform">What was done, for layer hashes.</param>
/// <param name="changed">The replacements.</param>
public sealed class RewrittenSource(IModelSource inner, string transform, IReadOnlyDictionary<(int Layer, LayerTensor Role), TensorData> changed) : IModelSource
{
    /// <inheritdoc />
    public string Path => inner.Path;

    /// <inheritdoc />
    public ModelConfig Config => inner.Config;

    /// <inheritdoc />
    public LayerRange Layers => inner.Layers;

    /// <inheritdoc />
    public bool HasEnds => inner.HasEnds;

    /// <inheritdoc />
    public string LoadTransform => transform;

    /// <inheritdoc />
    public TensorData? Layer(int layer, LayerTensor tensor) => changed.GetValueOrDefault((layer, tensor)) ?? inner.Layer(layer, tensor);

    /// <inheritdoc />
    public TensorData Expert(int layer, int expert, LayerTensor tensor) => inner.Expert(layer, expert, tensor);

    /// <inheritdoc />
    public TensorData End(EndTensor tensor) => inner.End(tensor);

    /// <inheritdoc />
    public void Dispose() => inner.Dispose();
}
