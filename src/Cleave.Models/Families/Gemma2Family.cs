using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>
/// Gemma 2: norms before and after each half-layer with weights stored less one, a soft cap on scores and logits, scaled
/// embeddings, and a sliding window in every other layer, the first included.
/// </summary>
internal sealed class Gemma2Family : ModelFamily
{
    public override string HfType => "gemma2";

    public override string GgufArchitecture => "gemma2";

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = Common(file);
        return config with
        {
            AttentionSoftCap = (float)file.Number("attn_logit_softcapping", 0, 1e6, 0),
            LogitSoftCap = (float)file.Number("final_logit_softcapping", 0, 1e6, 0),
            Windows = file.Windows(config.Layers, honourLayerTypes: true, layer => layer % 2 == 0),
        };
    }

    public override ModelConfig Configure(GgufFields fields)
    {
        ModelConfig config = Common(fields);
        return config with
        {
            AttentionSoftCap = (float)fields.Number("attn_logit_softcapping", 0, 1e6, 50),
            LogitSoftCap = (float)fields.Number("final_logit_softcapping", 0, 1e6, 30),
            Windows = fields.Windows(layer => layer % 2 == 0, fallback: 4096),
            // llama.cpp's rule: the 27B model, known by its layers, scales by the width of a query's share of the stream.
            AttentionScale = config.Layers == 46 ? (float)(1 / Math.Sqrt((double)config.HiddenSize / config.Heads)) : config.AttentionScale,
        };
    }

    /// <summary>What Gemma 2 and 3 share in a checkpoint.</summary>
    internal static ModelConfig Common(HfConfig file)
    {
        ModelConfig config = file.Common(tiedByCustom: true);
        return config with
        {
            PostNorm = true,
            NormWeightOffset = 1,
            EmbeddingScale = (float)Math.Sqrt(config.HiddenSize),
            AttentionScale = (float)(1 / Math.Sqrt(file.Number("query_pre_attn_scalar", 0, 1e6, 256))),
            Activation = file.Has("hidden_activation") || file.Has("hidden_act") ? config.Activation : Activation.GeluTanh,
        };
    }

    /// <summary>What they share in a GGUF file, whose norm weights have the one added.</summary>
    internal static ModelConfig Common(GgufFields fields)
    {
        ModelConfig config = fields.Common(RopeLayout.Halves);
        return config with { PostNorm = true, EmbeddingScale = (float)Math.Sqrt(config.HiddenSize), Activation = Activation.GeluTanh };
    }
}
