using Cleave.Models.Storage;

namespace Cleave.Models.HuggingFace;

/// <summary>Tensor names of Hugging Face checkpoints, which most families share.</summary>
internal static class HfLayout
{
    /// <summary>The names for a configuration.</summary>
    /// <param name="config">Decides which norms there are and what they are called.</param>
    /// <param name="qkvBias">True when q, k and v have biases.</param>
    /// <param name="outputBias">True when the attention's output has one.</param>
    /// <param name="feedForwardBias">True when gate, up and down have biases.</param>
    public static TensorLayout For(ModelConfig config, bool qkvBias = false, bool outputBias = false, bool feedForwardBias = false)
    {
        var layer = new Dictionary<LayerTensor, TensorPart>
        {
            [LayerTensor.Query] = Layer("self_attn.q_proj.weight"),
            [LayerTensor.Key] = Layer("self_attn.k_proj.weight"),
            [LayerTensor.Value] = Layer("self_attn.v_proj.weight"),
            [LayerTensor.QueryNorm] = Layer("self_attn.q_norm.weight"),
            [LayerTensor.KeyNorm] = Layer("self_attn.k_norm.weight"),
            [LayerTensor.AttentionOutput] = Layer("self_attn.o_proj.weight"),
            [LayerTensor.Gate] = Layer("mlp.gate_proj.weight"),
            [LayerTensor.Up] = Layer("mlp.up_proj.weight"),
            [LayerTensor.Down] = Layer("mlp.down_proj.weight"),
        };
        if (config.PreNorm)
        {
            layer[LayerTensor.AttentionNorm] = Layer("input_layernorm.weight");
            layer[LayerTensor.FeedForwardNorm] = Layer(config.PostNorm ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight");
        }

        if (config.PostNorm)
        {
            layer[LayerTensor.AttentionPostNorm] = Layer("post_attention_layernorm.weight");
            layer[LayerTensor.FeedForwardPostNorm] = Layer("post_feedforward_layernorm.weight");
        }

        if (qkvBias)
        {
            layer[LayerTensor.QueryBias] = Layer("self_attn.q_proj.bias");
            layer[LayerTensor.KeyBias] = Layer("self_attn.k_proj.bias");
            layer[LayerTensor.ValueBias] = Layer("self_attn.v_proj.bias");
        }

        if (outputBias)
        {
            layer[LayerTensor.AttentionOutputBias] = Layer("self_attn.o_proj.bias");
        }

        if (feedForwardBias)
        {
            layer[LayerTensor.GateBias] = Layer("mlp.gate_proj.bias");
            layer[LayerTensor.UpBias] = Layer("mlp.up_proj.bias");
            layer[LayerTensor.DownBias] = Layer("mlp.down_proj.bias");
        }

        return new TensorLayout
        {
            Embedding = "model.embed_tokens.weight",
            FinalNorm = "model.norm.weight",
            LmHead = "lm_head.weight",
            Layer = layer,
            // A buffer that old versions of transformers saved; it follows from the configuration.
            Ignores = name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal),
        };
    }

    /// <summary>The layout with a mixture of experts in place of the dense feed-forward.</summary>
    public static TensorLayout WithExperts(this TensorLayout layout, string block, string gate, string up, string down) => layout with
    {
        Layer = new Dictionary<LayerTensor, TensorPart>(layout.Layer)
        {
            [LayerTensor.Router] = Layer($"{block}.gate.weight"),
            [LayerTensor.Gate] = Layer($"{block}.experts.{{1}}.{gate}.weight"),
            [LayerTensor.Up] = Layer($"{block}.experts.{{1}}.{up}.weight"),
            [LayerTensor.Down] = Layer($"{block}.experts.{{1}}.{down}.weight"),
        },
    };

    /// <summary>A tensor of a layer.</summary>
    public static TensorPart Layer(string name) => new($"model.layers.{{0}}.{name}");
}
