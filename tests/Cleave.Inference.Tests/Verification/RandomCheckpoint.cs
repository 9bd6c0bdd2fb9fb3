using System.Buffers.Binary;
using System.Text.Json.Nodes;

namespace Cleave.Inference.Tests.Verification;

/// <summary>Small checkpoints with random weights, of any family and with any spelling of its configuration.</summary>
internal static class RandomCheckpoint
{
    /// <summary>Makes one.</summary>
    /// <param name="type">"model_type".</param>
    /// <param name="changes">JSON members that replace or join the configuration's; null removes nothing but states null.</param>
    /// <param name="dtype">"F32", "F16" or "BF16".</param>
    /// <param name="layers">Decoder layers.</param>
    public static Checkpoint Make(string type, string changes = "{}", string dtype = "F32", int layers = 4)
    {
        var config = new JsonObject
        {
            ["model_type"] = type,
            ["hidden_size"] = 32,
            ["num_attention_heads"] = 4,
            ["num_key_value_heads"] = 2,
            ["num_hidden_layers"] = layers,
            ["intermediate_size"] = 40,
            ["vocab_size"] = 50,
            ["max_position_embeddings"] = 4096,
            ["rms_norm_eps"] = 1e-5,
        };
        foreach ((string name, JsonNode? value) in JsonNode.Parse(changes)!.AsObject())
        {
            config[name] = value?.DeepClone();
        }

        // Read back, so that numbers are as a file's: of no type until they are asked for.
        config = JsonNode.Parse(config.ToJsonString())!.AsObject();
        var checkpoint = new Checkpoint(config);
        var random = new Random(HashOf(type + changes));
        int hidden = Int("hidden_size");
        int headDim = config["head_dim"]?.GetValue<int>() ?? hidden / Int("num_attention_heads");
        int q = Int("num_attention_heads") * headDim;
        int kv = (config["num_key_value_heads"]?.GetValue<int>() ?? Int("num_attention_heads")) * headDim;
        bool gemma = type.StartsWith("gemma", StringComparison.Ordinal);

        Add("model.embed_tokens.weight", 1, Int("vocab_size"), hidden);
        Norm("model.norm.weight", hidden);
        if (!(config["tie_word_embeddings"]?.GetValue<bool>() ?? (gemma || type == "smollm3")))
        {
            Add("lm_head.weight", 0.3, Int("vocab_size"), hidden);
        }

        for (int layer = 0; layer < layers; layer++)
        {
            Layer($"model.layers.{layer}.");
        }

        return checkpoint;

        int Int(string name) => config[name]!.GetValue<int>();

        void Layer(string p)
        {
            // Norms.
            Norm(p + "post_attention_layernorm.weight", hidden);
            foreach (string norm in type == "olmo2" ? ["post_feedforward_layernorm"] : gemma ? (string[])["input_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"] : ["input_layernorm"])
            {
                Norm($"{p}{norm}.weight", hidden);
            }

            if (type is "olmo2" or "qwen3" or "qwen3_moe" or "gemma3_text")
            {
                Norm(p + "self_attn.q_norm.weight", type == "olmo2" ? q : headDim);
                Norm(p + "self_attn.k_norm.weight", type == "olmo2" ? kv : headDim);
            }

            // Attention.
            bool bias = config["attention_bias"]?.GetValue<bool>() == true;
            if (type == "phi3")
            {
                Add(p + "self_attn.qkv_proj.weight", 0.3, q + kv + kv, hidden);
            }
            else
            {
                Linear(p + "self_attn.q_proj", q, hidden, bias || type == "qwen2");
                Linear(p + "self_attn.k_proj", kv, hidden, bias || type == "qwen2");
                Linear(p + "self_attn.v_proj", kv, hidden, bias || type == "qwen2");
            }

            Linear(p + "self_attn.o_proj", hidden, q, bias);

            // Feed-forward.
            int inner = Int("intermediate_size");
            if (type == "phi3")
            {
                Add(p + "mlp.gate_up_proj.weight", 0.3, 2 * inner, hidden);
                Add(p + "mlp.down_proj.weight", 0.3, hidden, inner);
            }
            else if (type is "mixtral" or "qwen3_moe")
            {
                bool mixtral = type == "mixtral";
                int experts = Int(mixtral ? "num_local_experts" : "num_experts");
                int width = mixtral ? inner : Int("moe_intermediate_size");
                string block = p + (mixtral ? "block_sparse_moe" : "mlp");
                Add(block + ".gate.weight", 1, experts, hidden);
                for (int expert = 0; expert < experts; expert++)
                {
                    Add($"{block}.experts.{expert}.{(mixtral ? "w1" : "gate_proj")}.weight", 0.3, width, hidden);
                    Add($"{block}.experts.{expert}.{(mixtral ? "w3" : "up_proj")}.weight", 0.3, width, hidden);
                    Add($"{block}.experts.{expert}.{(mixtral ? "w2" : "down_proj")}.weight", 0.3, hidden, width);
                }
            }
            else
            {
                bool mlpBias = config["mlp_bias"]?.GetValue<bool>() == true;
                Linear(p + "mlp.gate_proj", inner, hidden, mlpBias);
                Linear(p + "mlp.up_proj", inner, hidden, mlpBias);
                Linear(p + "mlp.down_proj", hidden, inner, mlpBias);
            }
        }

        void Linear(string name, int outputs, int inputs, bool bias)
        {
            Add(name + ".weight", 0.3, outputs, inputs);
            if (bias)
            {
                Add(name + ".bias", 0.5, outputs);
            }
        }

        // Around one, or for Gemma around nought.
        void Norm(string name, int size) => Fill(name, [size], () => (random.NextDouble() - 0.5) + (gemma ? 0 : 1));

        void Add(string name, double size, params long[] shape) => Fill(name, shape, () => (random.NextDouble() - 0.5) * 2 * size);

        void Fill(string name, long[] shape, Func<double> next)
        {
            int count = (int)shape.Aggregate(1L, static (product, side) => product * side);
            int width = dtype == "F32" ? 4 : 2;
            byte[] data = new byte[count * width];
            for (int i = 0; i < count; i++)
            {
                Span<byte> to = data.AsSpan(i * width);
                switch (dtype)
                {
                    case "F32":
                        BinaryPrimitives.WriteSingleLittleEndian(to, (float)next());
                        break;
                    case "F16":
                        BinaryPrimitives.WriteHalfLittleEndian(to, (Half)next());
                        break;
                    default:
                        BinaryPrimitives.WriteUInt16LittleEndian(to, (ushort)(BitConverter.SingleToUInt32Bits((float)next()) >> 16));
                        break;
                }
            }

            checkpoint.Add(name, dtype, shape, data);
        }
    }

    // The same on every run, unlike string's own.
    private static int HashOf(string text) => text.Aggregate(17, static (hash, letter) => unchecked((hash * 31) + letter));
}
