using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Cleave.Compute;
using Cleave.Models.Gguf;

namespace Cleave.Inference.Tests.Verification;

/// <summary>
/// A checkpoint as llama.cpp's converter would write it: its key and tensor names, Gemma's norms with the one added, and the
/// rows of q and k permuted to neighbouring pairs for the architectures that rotate so.
/// </summary>
internal static class GgufTwin
{
    private static readonly Dictionary<string, string> LayerNames = new()
    {
        ["input_layernorm.weight"] = "attn_norm.weight",
        ["self_attn.q_proj.weight"] = "attn_q.weight",
        ["self_attn.k_proj.weight"] = "attn_k.weight",
        ["self_attn.v_proj.weight"] = "attn_v.weight",
        ["self_attn.q_proj.bias"] = "attn_q.bias",
        ["self_attn.k_proj.bias"] = "attn_k.bias",
        ["self_attn.v_proj.bias"] = "attn_v.bias",
        ["self_attn.q_norm.weight"] = "attn_q_norm.weight",
        ["self_attn.k_norm.weight"] = "attn_k_norm.weight",
        ["self_attn.o_proj.weight"] = "attn_output.weight",
        ["pre_feedforward_layernorm.weight"] = "ffn_norm.weight",
        ["post_feedforward_layernorm.weight"] = "post_ffw_norm.weight",
        ["mlp.gate_proj.weight"] = "ffn_gate.weight",
        ["mlp.up_proj.weight"] = "ffn_up.weight",
        ["mlp.down_proj.weight"] = "ffn_down.weight",
    };

    public static string Write(Checkpoint checkpoint, string path)
    {
        JsonObject config = checkpoint.Config;
        string architecture = config["model_type"]!.GetValue<string>().Replace("_text", "", StringComparison.Ordinal);
        bool gemma = architecture.StartsWith("gemma", StringComparison.Ordinal);
        var writer = new GgufWriter();
        writer.Add("general.architecture", architecture);
        foreach ((string key, string from) in (ReadOnlySpan<(string, string)>)
            [
                ("block_count", "num_hidden_layers"), ("embedding_length", "hidden_size"), ("attention.head_count", "num_attention_heads"),
                ("attention.head_count_kv", "num_key_value_heads"), ("feed_forward_length", "intermediate_size"),
                ("context_length", "max_position_embeddings"), ("vocab_size", "vocab_size"), ("attention.key_length", "head_dim"),
                ("attention.value_length", "head_dim"), ("attention.sliding_window", "sliding_window"),
            ])
        {
            if (config[from] is { } value)
            {
                writer.Add($"{architecture}.{key}", value.GetValue<uint>());
            }
        }

        writer.Add($"{architecture}.attention.layer_norm_rms_epsilon", config["rms_norm_eps"]!.GetValue<float>());
        writer.Add($"{architecture}.rope.freq_base", Theta(config));
        if (config["rope_parameters"]?["rope_type"]?.GetValue<string>() == "llama3")
        {
            writer.Add("rope_freqs.weight", ElementType.F32, [8], MemoryMarshal.AsBytes<float>(Llama3Factors(config["rope_parameters"]!)).ToArray());
        }

        foreach (string name in checkpoint.Names)
        {
            (string type, long[] shape, byte[] data) = checkpoint[name];
            Assert.Equal("BF16", type);
            string to = Rename(name, gemma);
            if (architecture == "llama" && (to.EndsWith("attn_q.weight", StringComparison.Ordinal) || to.EndsWith("attn_k.weight", StringComparison.Ordinal)))
            {
                data = Permute(data, shape, headDim: 16);
            }

            if (shape.Length == 1)
            {
                // Converters store vectors as F32.
                float[] numbers = [.. MemoryMarshal.Cast<byte, ushort>(data).ToArray().Select(bits =>
                    BitConverter.UInt32BitsToSingle((uint)bits << 16) + (gemma ? 1 : 0))];
                writer.Add(to, ElementType.F32, shape, MemoryMarshal.AsBytes<float>(numbers).ToArray());
            }
            else
            {
                writer.Add(to, ElementType.BF16, shape, data);
            }
        }

        writer.Write(path, null, CancellationToken.None);
        return path;
    }

    private static float Theta(JsonObject config) =>
        (config["rope_theta"] ?? config["rope_parameters"]!["rope_theta"] ?? config["rope_parameters"]!["full_attention"]!["rope_theta"])!.GetValue<float>();

    private static string Rename(string name, bool gemma)
    {
        if (!name.StartsWith("model.layers.", StringComparison.Ordinal))
        {
            return name switch { "model.embed_tokens.weight" => "token_embd.weight", "model.norm.weight" => "output_norm.weight", _ => "output.weight" };
        }

        string[] parts = name.Split('.', 4);
        string role = parts[3] == "post_attention_layernorm.weight"
            ? gemma ? "post_attention_norm.weight" : "ffn_norm.weight"
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
    private static float[] Llama3Factors(JsonNode rope)
    {
        double Get(string name) => rope[name]!.GetValue<double>();
        double original = Get("original_max_position_embeddings");
        (double low, double high, double factor) = (Get("low_freq_factor"), Get("high_freq_factor"), Get("factor"));
        return [.. Enumerable.Range(0, 8).Select(i =>
        {
            double wavelength = 2 * Math.PI * Math.Pow(Get("rope_theta"), 2.0 * i / 16);
            double smooth = ((original / wavelength) - low) / (high - low);
            return (float)(wavelength < original / high ? 1 : wavelength > original / low ? factor : 1 / (((1 - smooth) / factor) + smooth));
        })];
    }
}
