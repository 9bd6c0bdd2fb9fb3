using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Cleave.Compute;
using Cleave.Models.Gguf;

namespace Cleave.Inference.Tests.Verification;

/// <summary>
/// A checkpoint as llama.cpp's converter would write it: its key and tensor names, Gemma's norms with the one added, a mixture's
/// experts stacked, and the rows of q and k permuted to neighbouring pairs for the architectures that rotate so.
/// </summary>
internal static class GgufTwin
{
    private static readonly string[] Permuted = ["llama", "granite", "smollm3"];

    private static readonly Dictionary<string, string> LayerNames = new()
    {
        ["input_layernorm.weight"] = "attn_norm.weight",
        ["self_attn.q_proj.weight"] = "attn_q.weight",
        ["self_attn.k_proj.weight"] = "attn_k.weight",
        ["self_attn.v_proj.weight"] = "attn_v.weight",
        ["self_attn.q_proj.bias"] = "attn_q.bias",
        ["self_attn.k_proj.bias"] = "attn_k.bias",
        ["self_attn.v_proj.bias"] = "attn_v.bias",
        ["self_attn.o_proj.bias"] = "attn_output.bias",
        ["self_attn.q_norm.weight"] = "attn_q_norm.weight",
        ["self_attn.k_norm.weight"] = "attn_k_norm.weight",
        ["self_attn.qkv_proj.weight"] = "attn_qkv.weight",
        ["self_attn.o_proj.weight"] = "attn_output.weight",
        ["pre_feedforward_layernorm.weight"] = "ffn_norm.weight",
        ["post_feedforward_layernorm.weight"] = "post_ffw_norm.weight",
        ["mlp.gate_proj.weight"] = "ffn_gate.weight",
        ["mlp.up_proj.weight"] = "ffn_up.weight",
        ["mlp.down_proj.weight"] = "ffn_down.weight",
        ["mlp.gate_up_proj.weight"] = "ffn_up.weight",
        ["mlp.gate.weight"] = "ffn_gate_inp.weight",
        ["block_sparse_moe.gate.weight"] = "ffn_gate_inp.weight",
    };

    private static readonly (string Key, string From)[] Integers =
    [
        ("block_count", "num_hidden_layers"), ("embedding_length", "hidden_size"), ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"), ("feed_forward_length", "intermediate_size"), ("context_length", "max_position_embeddings"),
        ("vocab_size", "vocab_size"), ("attention.key_length", "head_dim"), ("attention.value_length", "head_dim"), ("attention.sliding_window", "sliding_window"),
        ("expert_count", "num_experts"), ("expert_count", "num_local_experts"), ("expert_used_count", "num_experts_per_tok"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
    ];

    private static readonly (string Key, string From)[] Numbers =
    [
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"), ("attn_logit_softcapping", "attn_logit_softcapping"), ("final_logit_softcapping", "final_logit_softcapping"),
        ("embedding_scale", "embedding_multiplier"), ("attention.scale", "attention_multiplier"), ("residual_scale", "residual_multiplier"), ("logit_scale", "logits_scaling"),
    ];

    public static string Write(Checkpoint checkpoint, string path)
    {
        JsonObject config = checkpoint.Config;
        string type = config["model_type"]!.GetValue<string>();
        string architecture = type switch { "mistral" or "mixtral" => "llama", "qwen3_moe" => "qwen3moe", _ => type.Replace("_text", "", StringComparison.Ordinal) };
        int headDim = config["head_dim"]?.GetValue<int>() ?? config["hidden_size"]!.GetValue<int>() / config["num_attention_heads"]!.GetValue<int>();
        var writer = new GgufWriter();
        writer.Add("general.architecture", architecture);
        foreach ((string key, string from) in Integers.Where(pair => config[pair.From] is not null))
        {
            // Qwen's converter leaves the window out, which those models do not use.
            if (from != "sliding_window" || !type.StartsWith("qwen", StringComparison.Ordinal))
            {
                writer.Add($"{architecture}.{key}", config[from]!.GetValue<uint>());
            }
        }

        foreach ((string key, string from) in Numbers.Where(pair => config[pair.From] is not null))
        {
            writer.Add($"{architecture}.{key}", config[from]!.GetValue<float>());
        }

        JsonNode? rope = config["rope_parameters"];
        rope = rope?["full_attention"] ?? rope;
        writer.Add($"{architecture}.rope.freq_base", (rope?["rope_theta"] ?? config["rope_theta"])?.GetValue<float>() ?? (type == "gemma3_text" ? 1e6f : 10000));
        if ((rope?["partial_rotary_factor"] ?? config["partial_rotary_factor"])?.GetValue<double>() is { } partial)
        {
            writer.Add($"{architecture}.rope.dimension_count", (uint)(headDim * partial));
        }

        if (rope?["rope_type"]?.GetValue<string>() == "llama3")
        {
            writer.Add("rope_freqs.weight", ElementType.F32, [headDim / 2], MemoryMarshal.AsBytes<float>(Llama3Factors(rope, headDim)).ToArray());
        }

        AddTensors(writer, checkpoint, type, architecture, headDim);
        writer.Write(path, null, CancellationToken.None);
        return path;
    }

    private static void AddTensors(GgufWriter writer, Checkpoint checkpoint, string type, string architecture, int headDim)
    {
        bool gemma = architecture.StartsWith("gemma", StringComparison.Ordinal);
        foreach (string name in checkpoint.Names.Where(static name => !name.Contains(".experts.", StringComparison.Ordinal)))
        {
            (string stored, long[] shape, byte[] data) = checkpoint[name];
            string to = Rename(name, gemma || type == "olmo2");
            if (Permuted.Contains(architecture) && (to.Contains("attn_q.", StringComparison.Ordinal) || to.Contains("attn_k.", StringComparison.Ordinal)))
            {
                data = Permute(data, shape, headDim);
            }

            if (shape.Length == 1)
            {
                // Converters store vectors as F32; permuting came first, so the numbers are read from the data.
                var vector = new Checkpoint([]);
                vector.Add(name, stored, shape, data);
                float[] numbers = [.. vector.Numbers(name)!.Select(number => (float)number + (gemma ? 1 : 0))];
                writer.Add(to, ElementType.F32, shape, MemoryMarshal.AsBytes<float>(numbers).ToArray());
            }
            else
            {
                writer.Add(to, Enum.Parse<ElementType>(stored), shape, data);
            }
        }

        foreach (IGrouping<string, string> experts in checkpoint.Names.Where(static name => name.Contains(".experts.", StringComparison.Ordinal)).GroupBy(StackName))
        {
            (string Type, long[] Shape, byte[] Data)[] parts = [.. experts.Select(name => checkpoint[name])];
            writer.Add(experts.Key, Enum.Parse<ElementType>(parts[0].Type), [parts.Length, .. parts[0].Shape], [.. parts.SelectMany(static part => part.Data)]);
        }
    }

    // "model.layers.1.mlp.experts.2.up_proj.weight" to "blk.1.ffn_up_exps.weight"; experts come in their order.
    private static string StackName(string name)
    {
        string[] parts = name.Split('.');
        string role = parts[^2] switch { "w1" or "gate_proj" => "gate", "w3" or "up_proj" => "up", _ => "down" };
        return $"blk.{parts[2]}.ffn_{role}_exps.weight";
    }

    private static string Rename(string name, bool postNorms)
    {
        if (!name.StartsWith("model.layers.", StringComparison.Ordinal))
        {
            return name switch { "model.embed_tokens.weight" => "token_embd.weight", "model.norm.weight" => "output_norm.weight", _ => "output.weight" };
        }

        string[] parts = name.Split('.', 4);
        string role = parts[3] == "post_attention_layernorm.weight"
            ? postNorms ? "post_attention_norm.weight" : "ffn_norm.weight"
            : LayerNames[parts[3]];
        return $"blk.{parts[2]}.{role}";
    }

    // Within each head, row i of the first half and row i of the second become rows 2i and 2i + 1.
    private static byte[] Permute(byte[] data, long[] shape, int headDim)
    {
        int rowBytes = data.Length / (int)shape[0];
        byte[] permuted = new byte[data.Length];
        for (int row = 0; row < shape[0]; row++)
        {
            int inHead = row % headDim;
            int to = row - inHead + (2 * (inHead % (headDim / 2))) + (inHead / (headDim / 2));
            data.AsSpan(row * rowBytes, rowBytes).CopyTo(permuted.AsSpan(to * rowBytes));
        }

        return permuted;
    }

    // What llama.cpp's converter computes for Llama 3.1, pair by pair.
    private static float[] Llama3Factors(JsonNode rope, int headDim)
    {
        double Get(string name) => rope[name]!.GetValue<double>();
        double original = Get("original_max_position_embeddings");
        (double low, double high, double factor) = (Get("low_freq_factor"), Get("high_freq_factor"), Get("factor"));
        return [.. Enumerable.Range(0, headDim / 2).Select(i =>
        {
            double wavelength = 2 * Math.PI * Math.Pow(Get("rope_theta"), 2.0 * i / headDim);
            double smooth = ((original / wavelength) - low) / (high - low);
            return (float)(wavelength < original / high ? 1 : wavelength > original / low ? factor : 1 / (((1 - smooth) / factor) + smooth));
        })];
    }
}
