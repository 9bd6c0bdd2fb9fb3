using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>
/// Gemma 3 (text): Gemma 2 without the soft caps, with normed query and key heads, one global layer after each five local
/// ones, and a rotary base of their own for the local ones.
/// </summary>
internal sealed class Gemma3Family : ModelFamily
{
    private const int Pattern = 6;

    public override string HfType => "gemma3_text";

    public override string GgufArchitecture => "gemma3";

    public override ModelConfig Configure(HfConfig file)
    {
        file.Require("use_bidirectional_attention", "false");
        ModelConfig config = Gemma2Family.Common(file);
        int pattern = file.Int(file.Has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern", 1, 1 << 12, Pattern);
        return config with
        {
            QueryKeyNorm = QueryKeyNorm.PerHead,
            AttentionSoftCap = (float)file.Number("attn_logit_softcapping", 0, 1e6, 0),
            LogitSoftCap = (float)file.Number("final_logit_softcapping", 0, 1e6, 0),
            Rope = HfRope.Read(file, config.HeadDim, fallbackTheta: 1_000_000),
            LocalRope = HfRope.Read(file, config.HeadDim, "sliding_attention", "rope_local_base_freq"),
            Windows = file.Windows(config.Layers, honourLayerTypes: true, layer => (layer + 1) % pattern != 0),
        };
    }

    public override ModelConfig Configure(GgufFields fields)
    {
        ModelConfig config = Gemma2Family.Common(fields);
        return config with
        {
            QueryKeyNorm = QueryKeyNorm.PerHead,
            LogitSoftCap = (float)fields.Number("final_logit_softcapping", 0, 1e6, 0),
            Rope = fields.Rope(RopeLayout.Halves, config.HeadDim, fallbackBase: 1_000_000),
            LocalRope = fields.PlainRope(RopeLayout.Halves, config.HeadDim, fields.Number("rope.freq_base_swa", 0, 1e12, 10000)),
            Windows = fields.Windows(layer => (layer + 1) % Pattern != 0, fallback: 1024),
            // As in Gemma 2: the 27B model, known by its layers.
            AttentionScale = config.Layers == 62 ? (float)(1 / Math.Sqrt((double)config.HiddenSize / config.Heads)) : config.AttentionScale,
        };
    }
}
