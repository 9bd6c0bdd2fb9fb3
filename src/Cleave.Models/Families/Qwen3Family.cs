using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>Qwen 3: each query and key head is normed before rotation; no biases by custom.</summary>
internal sealed class Qwen3Family : ModelFamily
{
    public override string HfType => "qwen3";

    public override string GgufArchitecture => "qwen3";

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common();
        return config with { QueryKeyNorm = QueryKeyNorm.PerHead, Windows = Qwen2Family.Windows(file, config.Layers) };
    }

    public override ModelConfig Configure(GgufFields fields) =>
        fields.Common(RopeLayout.Halves) with { QueryKeyNorm = QueryKeyNorm.PerHead };
}
