using Cleave.Compute;

namespace Cleave.Models;

/// <summary>A model on disk: its configuration, and its tensors by role. Reading a tensor maps it; nothing is copied.</summary>
public interface IModelSource : IDisposable
{
    /// <summary>Path shown in messages.</summary>
    string Path { get; }

    /// <summary>Architecture and sizes.</summary>
    ModelConfig Config { get; }

    /// <summary>Layers whose tensors the file holds (a middle-only export holds fewer than Config.Layers).</summary>
    LayerRange Layers { get; }

    /// <summary>True when the embedding, final norm and LM head (or a tied embedding) are in the file.</summary>
    bool HasEnds { get; }

    /// <summary>What loading does to stored numbers ("" when nothing); part of every layer's identity (<see cref="LayerHash"/>).</summary>
    string LoadTransform => "";

    /// <summary>A tensor of one decoder layer, or null when this architecture has none.</summary>
    /// <exception cref="ModelFormatException">The tensor should be there and is missing or malformed.</exception>
    TensorData? Layer(int layer, LayerTensor tensor);

    /// <summary>A tensor of one expert of a mixture-of-experts layer.</summary>
    TensorData Expert(int layer, int expert, LayerTensor tensor);

    /// <summary>A tensor outside the layers. <see cref="EndTensor.LmHead"/> of a tied model is its embedding.</summary>
    TensorData End(EndTensor tensor);
}
