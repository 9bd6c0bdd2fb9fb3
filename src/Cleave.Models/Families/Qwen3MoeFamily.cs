using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>Qwen 3 with a mixture of experts in every layer.</summary>
internal sealed class Qwen3MoeFamily : ModelFamily
{
    public override string HfType => "qwen3_moe";

    public override string GgufArchitecture => "qwen3moe";

    public override ModelConfig Configure(HfConfig file)
    {
        file.Require("decoder_sparse_step", "1");
        file.Require("mlp_only_layers", "[]");
        ModelConfig config = file.Common();

        // Renamed in transformers 5.
        int experts = file.Int(file.Has("num_experts") ? "num_experts" : "num_local_experts", 1, 1 << 12);
        return config with
        {
            QueryKeyNorm = QueryKeyNorm.PerHead,
            FeedForwardSize = file.Int("moe_intermediate_size", 1, 1 << 22),
            Experts = experts,
            ExpertsPerToken = file.Int("num_experts_per_tok", 1, experts),
            NormalizeExpertWeights = file.Flag("norm_topk_prob"),
            Windows = Qwen2Family.Windows(file, config.Layers),
        };
    }

    public override TensorLayout Layout(HfConfig file, ModelConfig config) =>
        base.Layout(file, config).WithExperts("mlp", gate: "gate_proj", up: "up_proj", down: "down_proj");

    public override ModelConfig Configure(GgufFields fields) => fields.Common(RopeLayout.Halves) with
    {
        QueryKeyNorm = QueryKeyNorm.PerHead,
        NormalizeExpertWeights = true,
    };
}
