using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>Granite 3: Llama with factors on embeddings, scores, residual branches and logits.</summary>
internal sealed class GraniteFamily : ModelFamily
{
    public override string HfType => "granite";

    public override string GgufArchitecture => "granite";

    public override ModelConfig Configure(HfConfig file) => file.Common() with
    {
        EmbeddingScale = (float)file.Number("embedding_multiplier", 0, 1e6, 1),
        AttentionScale = (float)file.Number("attention_multiplier", 0, 1e6, 1),
        ResidualScale = (float)file.Number("residual_multiplier", 0, 1e6, 1),
        LogitScale = (float)(1 / file.Number("logits_scaling", 0, 1e6, 1)),
    };

    public override ModelConfig Configure(GgufFields fields)
    {
        ModelConfig config = fields.Common(RopeLayout.Interleaved);
        return config with
        {
            EmbeddingScale = (float)fields.Number("embedding_scale", 0, 1e6, 1),
            AttentionScale = (float)fields.Number("attention.scale", 0, 1e6, config.AttentionScale),
            ResidualScale = (float)fields.Number("residual_scale", 0, 1e6, 1),
            LogitScale = (float)(1 / fields.Number("logit_scale", 0, 1e6, 1)),
        };
    }
}
