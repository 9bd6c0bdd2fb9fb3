using System.Text.Json;
using System.Text.Json.Nodes;

namespace Cleave.Models.Tests.HuggingFace;

/// <summary>A Llama checkpoint of one or more layers, hidden 32, to be bent by tests before it is written.</summary>
internal sealed class TinyCheckpoint
{
    public TinyCheckpoint(int layers = 1)
    {
        Config = new JsonObject
        {
            ["model_type"] = "llama",
            ["hidden_size"] = 32,
            ["num_attention_heads"] = 2,
            ["num_key_value_heads"] = 1,
            ["num_hidden_layers"] = layers,
            ["intermediate_size"] = 64,
            ["vocab_size"] = 16,
            ["max_position_embeddings"] = 64,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["hidden_act"] = "silu",
            ["tie_word_embeddings"] = true,
        };
        Add("model.embed_tokens.weight", 16, 32);
        Add("model.norm.weight", 32);
        for (int layer = 0; layer < layers; layer++)
        {
            string p = $"model.layers.{layer}.";
            Add(p + "input_layernorm.weight", 32);
            Add(p + "post_attention_layernorm.weight", 32);
            Add(p + "self_attn.q_proj.weight", 32, 32);
            Add(p + "self_attn.k_proj.weight", 16, 32);
            Add(p + "self_attn.v_proj.weight", 16, 32);
            Add(p + "self_attn.o_proj.weight", 32, 32);
            Add(p + "mlp.gate_proj.weight", 64, 32);
            Add(p + "mlp.up_proj.weight", 64, 32);
            Add(p + "mlp.down_proj.weight", 32, 64);
        }
    }

    public JsonObject Config { get; }

    public JsonObject Header { get; } = [];

    public long DataBytes { get; private set; }

    /// <summary>What goes before the header; null for its true length.</summary>
    public ulong? StatedHeaderBytes { get; set; }

    /// <summary>Adds a F32 tensor at the end of the data.</summary>
    public void Add(string name, params long[] shape)
    {
        long bytes = shape.Aggregate(4L, (product, size) => product * size);
        Header[name] = new JsonObject
        {
            ["dtype"] = "F32",
            ["shape"] = new JsonArray([.. shape.Select(size => (JsonNode)size)]),
            ["data_offsets"] = new JsonArray(DataBytes, DataBytes + bytes),
        };
        DataBytes += bytes;
    }

    public string WriteTo(TemporaryFolder folder, string name = "model", string? rawHeader = null)
    {
        string path = folder.File(name);
        Directory.CreateDirectory(path);
        File.WriteAllText(Path.Combine(path, "config.json"), Config.ToJsonString());
        byte[] header = rawHeader is null ? JsonSerializer.SerializeToUtf8Bytes(Header) : System.Text.Encoding.UTF8.GetBytes(rawHeader);
        using FileStream stream = File.Create(Path.Combine(path, "model.safetensors"));
        stream.Write(BitConverter.GetBytes(StatedHeaderBytes ?? (ulong)header.Length));
        stream.Write(header);
        var random = new Random(7);
        for (long i = 0; i < DataBytes; i += 4)
        {
            stream.Write(BitConverter.GetBytes((random.NextSingle() * 2) - 1));
        }

        return path;
    }
}
