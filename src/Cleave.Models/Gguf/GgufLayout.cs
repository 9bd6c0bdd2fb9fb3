using Cleave.Models.Storage;

namespace Cleave.Models.Gguf;

/// <summary>GGUF's tensor names, which all architectures share where they have the tensor.</summary>
internal static class GgufLayout
{
    public const string Embedding = "token_embd.weight";
    public const string FinalNorm = "output_norm.weight";
    public const string LmHead = "output.weight";

    /// <summary>The names for a configuration; biases are optional unless the family says otherwise.</summary>
    public static TensorLayout For(ModelConfig config, bool requireQkvBias = false)
    {
        bool mixture = config.Experts > 0;
        return new TensorLayout
        {
            Embedding = Embedding,
            FinalNorm = FinalNorm,
            LmHead = LmHead,
            Ignores = name => name == "rope_freqs.weight",
            Layer = new Dictionary<LayerTensor, TensorPart>
            {
                [LayerTensor.AttentionNorm] = Block("attn_norm.weight"),
                [LayerTensor.Query] = Block("attn_q.weight"),
                [LayerTensor.Key] = Block("attn_k.weight"),
                [LayerTensor.Value] = Block("attn_v.weight"),
                [LayerTensor.QueryBias] = Block("attn_q.bias") with { Optional = !requireQkvBias },
                [LayerTensor.KeyBias] = Block("attn_k.bias") with { Optional = !requireQkvBias },
                [LayerTensor.ValueBias] = Block("attn_v.bias") with { Optional = !requireQkvBias },
                [LayerTensor.QueryNorm] = Block("attn_q_norm.weight"),
                [LayerTensor.KeyNorm] = Block("attn_k_norm.weight"),
                [LayerTensor.AttentionOutput] = Block("attn_output.weight"),
                [LayerTensor.AttentionOutputBias] = Block("attn_output.bias") with { Optional = true },
                [LayerTensor.AttentionPostNorm] = Block("post_attention_norm.weight"),
                [LayerTensor.FeedForwardNorm] = Block("ffn_norm.weight"),
                [LayerTensor.FeedForwardPostNorm] = Block("post_ffw_norm.weight"),
                [LayerTensor.Gate] = FeedForward("ffn_gate", mixture),
                [LayerTensor.Up] = FeedForward("ffn_up", mixture),
                [LayerTensor.Down] = FeedForward("ffn_down", mixture),
                [LayerTensor.GateBias] = Block("ffn_gate.bias") with { Optional = true },
                [LayerTensor.UpBias] = Block("ffn_up.bias") with { Optional = true },
                [LayerTensor.DownBias] = Block("ffn_down.bias") with { Optional = true },
                [LayerTensor.Router] = Block("ffn_gate_inp.weight"),
            },
        };
    }

    /// <summary>A tensor of a layer.</summary>
    public static TensorPart Block(string name) => new($"blk.{{0}}.{name}");

    private static TensorPart FeedForward(string name, bool mixture) =>
        mixture ? Block($"{name}_exps.weight") with { Stacked = true } : Block($"{name}.weight");
}
