using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>Qwen 2 and 2.5: Llama with biases on q, k and v; a sliding window, if used, in the layers from max_window_layers on.</summary>
internal sealed class Qwen2Family : ModelFamily
{
    public override string HfType => "qwen2";

    public override string GgufArchitecture => "qwen2";

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common();
        return config with { Windows = Windows(file, config.Layers) };
    }

    public override TensorLayout Layout(HfConfig file, ModelConfig config) => HfLayout.For(config, qkvBias: true);

    public override ModelConfig Configure(GgufFields fields) => fields.Common(RopeLayout.Halves);

    public override TensorLayout Layout(GgufFields fields, ModelConfig config) => GgufLayout.For(config, requireQkvBias: true);

    /// <summary>The windows of Qwen files, which state a window even where it is not used.</summary>
    internal static IReadOnlyList<int>? Windows(HfConfig file, int layers)
    {
        if (!file.Flag("use_sliding_window"))
        {
            return null;
        }

        int full = file.Int("max_window_layers", 0, 1 << 20, 28);
        return file.Windows(layers, honourLayerTypes: true, layer => layer >= full);
    }
}
