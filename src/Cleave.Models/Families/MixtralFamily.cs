using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>Mixtral: Mistral with a mixture of experts; the chosen experts' weights sum to one.</summary>
internal sealed class MixtralFamily : ModelFamily
{
    public override string HfType => "mixtral";

    public override string? GgufArchitecture => null;

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common();
        int experts = file.Int("num_local_experts", 1, 1 << 12);
        return config with
        {
            Windows = file.Windows(config.Layers, honourLayerTypes: false, _ => true),
            Experts = experts,
            ExpertsPerToken = file.Int("num_experts_per_tok", 1, experts),
            NormalizeExpertWeights = true,
        };
    }

    public override TensorLayout Layout(HfConfig file, ModelConfig config) =>
        HfLayout.For(config).WithExperts("block_sparse_moe", gate: "w1", up: "w3", down: "w2");
}
