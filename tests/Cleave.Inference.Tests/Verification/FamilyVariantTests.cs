using Cleave.Compute;
using Cleave.Inference.Verification;
using Cleave.Models;

namespace Cleave.Inference.Tests.Verification;

/// <summary>
/// Families and spellings for which no outside reference is at hand: random checkpoints against <see cref="SlowModel"/>, over five
/// blocks of positions, and the same weights as a GGUF file.
/// </summary>
public sealed class FamilyVariantTests : IDisposable
{
    // Past four borders of the attention's 64 positions, and no multiple of anything.
    private const int Tokens = 283;

    private const string Llama3 = """{"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}""";
    private const string GemmaBases = """{"sliding_window": 40, "head_dim": 8, "query_pre_attn_scalar": 12, "rope_parameters": {"full_attention": {"rope_theta": 1000000.0, "rope_type": "default"}, "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}}}""";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-family-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen2")]
    [InlineData("gemma3")]
    public void TheSlowModelAgreesWithTransformers(string name)
    {
        Checkpoint checkpoint = Checkpoint.Read(name);
        ReferenceActivations golden = ReferenceActivations.Open(Path.Combine(Checkpoint.Fixture(name), "golden.safetensors"));
        (double[][][] layers, double[][] logits) = new SlowModel(checkpoint).Forward(golden.InputIds);
        int hidden = checkpoint.Config["hidden_size"]!.GetValue<int>();
        for (int layer = 0; layer < layers.Length; layer++)
        {
            Assert.InRange(Error(layers[layer], golden.Layer(layer, hidden)!), 0, 3e-6);
        }

        Assert.InRange(Error(logits, golden.Logits(checkpoint.Config["vocab_size"]!.GetValue<int>())!), 0, 3e-6);
    }

    [Theory]
    [InlineData("llama", "{}")]
    [InlineData("llama", Llama3)]
    [InlineData("llama", """{"attention_bias": true, "head_dim": null, "rope_theta": 20000, "rope_scaling": null, "tie_word_embeddings": true}""")]
    [InlineData("llama", """{"mlp_bias": true, "attention_bias": true}""")]
    [InlineData("llama", """{"num_key_value_heads": null, "head_dim": 10, "hidden_act": "silu"}""")]
    [InlineData("llama", """{"num_key_value_heads": 1, "hidden_size": 36, "intermediate_size": 37, "vocab_size": 51, "head_dim": 6}""")]
    [InlineData("mistral", """{"sliding_window": null, "head_dim": 16}""")]
    [InlineData("mistral", """{"sliding_window": 70}""")]
    [InlineData("mixtral", """{"num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": null}""")]
    [InlineData("qwen2", """{"use_sliding_window": false, "sliding_window": 16, "max_window_layers": 2}""")]
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 2, "tie_word_embeddings": true}""")]
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": 16, "layer_types": ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]}""")]
    [InlineData("qwen3", """{"head_dim": 16, "attention_bias": false, "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"}}""")]
    [InlineData("qwen3", """{"head_dim": 8, "attention_bias": true, "use_sliding_window": true, "sliding_window": 30, "max_window_layers": 1}""")]
    [InlineData("qwen3_moe", """{"num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 24, "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": []}""")]
    [InlineData("qwen3_moe", """{"num_experts": 4, "num_experts_per_tok": 4, "moe_intermediate_size": 24, "norm_topk_prob": false, "attention_bias": true}""", true)]
    [InlineData("phi3", """{"sliding_window": 47}""")]
    [InlineData("phi3", """{"partial_rotary_factor": 0.75, "tie_word_embeddings": true, "head_dim": 8}""")]
    [InlineData("phi3", """{"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}}""")]
    [InlineData("gemma2", """{"sliding_window": 20, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "hidden_activation": "gelu_pytorch_tanh"}""")]
    [InlineData("gemma2", """{"sliding_window": 20, "query_pre_attn_scalar": 8, "attention_bias": true, "tie_word_embeddings": false, "attn_logit_softcapping": null, "final_logit_softcapping": null, "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]}""", true)]
    [InlineData("gemma3_text", GemmaBases, true, 7)]
    [InlineData("gemma3_text", """{"sliding_window": 40, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 3, "query_pre_attn_scalar": 8}""", true)]
    [InlineData("granite", """{"embedding_multiplier": 12.0, "attention_multiplier": 0.1, "residual_multiplier": 0.22, "logits_scaling": 8.0, "tie_word_embeddings": true}""")]
    [InlineData("granite", """{"embedding_multiplier": 2, "attention_multiplier": 1, "residual_multiplier": 1, "logits_scaling": 1, "attention_bias": true, "mlp_bias": true}""")]
    [InlineData("olmo2", """{"rope_theta": 500000}""")]
    [InlineData("olmo2", """{"num_key_value_heads": 4, "attention_bias": true}""")]
    [InlineData("smollm3", """{"no_rope_layers": [1, 1, 1, 0], "rope_theta": 5000000.0}""")]
    [InlineData("smollm3", """{"no_rope_layers": [0, 1, 0, 1], "tie_word_embeddings": false, "use_sliding_window": true, "sliding_window": 9, "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]}""", true)]
    public void AgreesWithTheSlowModel(string type, string changes, bool onlyAsCheckpoint = false, int layers = 4)
    {
        Checkpoint checkpoint = RandomCheckpoint.Make(type, changes, layers: layers);
        string golden = SlowReference.Write(checkpoint, Path.Combine(_folder.FullName, "golden.safetensors"), Tokens);
        Passes(Verify(checkpoint.WriteTo(_folder, "model"), golden));

        // What GGUF's keys cannot say (unused in published models) is left out.
        bool sayable = !onlyAsCheckpoint && !changes.Contains("\"mlp_bias\": true", StringComparison.Ordinal) && !changes.Contains("\"use_sliding_window\": true", StringComparison.Ordinal);
        if (sayable)
        {
            Passes(Verify(GgufTwin.Write(checkpoint, Path.Combine(_folder.FullName, "model.gguf")), golden));
        }
    }

    [Theory]
    [InlineData("gemma2", """{"sliding_window": 20, "head_dim": 16, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0}""", 4)]
    [InlineData("gemma3_text", """{"sliding_window": 40, "head_dim": 16, "query_pre_attn_scalar": 16, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0}""", 7)]
    public void GemmaAsGgufScalesByItsHeads(string type, string changes, int layers)
    {
        // GGUF files do not state query_pre_attn_scalar; it is the head's width in all models but the largest.
        Checkpoint checkpoint = RandomCheckpoint.Make(type, changes, layers: layers);
        string golden = SlowReference.Write(checkpoint, Path.Combine(_folder.FullName, "golden.safetensors"), 100);
        Passes(Verify(GgufTwin.Write(checkpoint, Path.Combine(_folder.FullName, "model.gguf")), golden));
    }

    [Theory]
    [InlineData("F16")]
    [InlineData("BF16")]
    public void OtherElementTypesAndShards(string dtype)
    {
        Checkpoint checkpoint = RandomCheckpoint.Make("qwen3", dtype: dtype);
        string golden = SlowReference.Write(checkpoint, Path.Combine(_folder.FullName, "golden.safetensors"), 40);
        Passes(Verify(checkpoint.WriteTo(_folder, "model", shards: 3), golden));
        Passes(Verify(GgufTwin.Write(checkpoint, Path.Combine(_folder.FullName, "model.gguf")), golden));
    }

    [Fact]
    public void TwoThousandTokens()
    {
        Checkpoint checkpoint = RandomCheckpoint.Make("llama", """{"num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": 16, "rope_theta": 500000.0}""", layers: 2);
        string golden = SlowReference.Write(checkpoint, Path.Combine(_folder.FullName, "golden.safetensors"), 2048);
        Passes(Verify(checkpoint.WriteTo(_folder, "model"), golden));
    }

    [Theory]
    [InlineData("model.layers.2.mlp.down_proj.weight")]
    [InlineData("model.layers.0.self_attn.q_proj.weight")]
    [InlineData("model.layers.1.input_layernorm.weight")]
    [InlineData("model.embed_tokens.weight")]
    [InlineData("lm_head.weight")]
    public void AWeightThatIsNoNumberIsRefusedByName(string name)
    {
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity])
        {
            Checkpoint checkpoint = RandomCheckpoint.Make("llama");
            BitConverter.TryWriteBytes(checkpoint[name].Data.AsSpan(checkpoint[name].Data.Length - 4), bad);
            string path = checkpoint.WriteTo(_folder, $"model-{bad}");
            string golden = SlowReference.Write(RandomCheckpoint.Make("llama"), Path.Combine(_folder.FullName, "golden.safetensors"), 3);
            string message = Assert.Throws<ModelFormatException>(() => Verify(path, golden)).Message;
            Assert.Contains(name, message, StringComparison.Ordinal);
            Assert.Contains(path, message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("llama", """{"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}""", "yarn")]
    [InlineData("llama", """{"rope_scaling": {"type": "dynamic", "factor": 2.0}}""", "dynamic")]
    [InlineData("llama", """{"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}}""", "linear")]
    [InlineData("phi3", """{"rope_scaling": {"type": "longrope", "long_factor": [1], "short_factor": [1]}}""", "longrope")]
    [InlineData("phi3", """{"rope_scaling": {"type": "su", "long_factor": [1], "short_factor": [1]}}""", "su")]
    [InlineData("gemma3_text", """{"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}}""", "linear")]
    [InlineData("gemma3_text", """{"use_bidirectional_attention": true}""", "use_bidirectional_attention")]
    [InlineData("qwen3_moe", """{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 2}""", "decoder_sparse_step")]
    [InlineData("qwen3_moe", """{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "mlp_only_layers": [0]}""", "mlp_only_layers")]
    [InlineData("llama", """{"hidden_act": "relu2"}""", "relu2")]
    [InlineData("llama", """{"quantization_config": {"quant_method": "gptq"}}""", "gptq")]
    public void WhatWouldBeComputedWronglyIsRefusedByName(string type, string changes, string named)
    {
        string path = RandomCheckpoint.Make(type, changes).WriteTo(_folder, "model");
        Assert.Contains(named, Assert.Throws<ModelFormatException>(() => ModelSource.Open(path)).Message, StringComparison.Ordinal);
    }

    private static void Passes(VerificationReport report) => Assert.True(
        report.Passed, $"layers {string.Join(", ", report.LayerErrors.Select(static error => $"{error:E1}"))}; logits {report.LogitsError:E1}; greedy {report.GreedyEqualUntil} of {report.GreedyComparable}");

    private static double Error(double[][] actual, float[] expected) =>
        ModelVerifier.RelativeError([.. actual.SelectMany(static row => row).Select(static value => (float)value)], expected);

    private static VerificationReport Verify(string model, string golden)
    {
        using var device = new CpuDevice();
        using IModelSource source = ModelSource.Open(model);
        ReferenceActivations reference = ReferenceActivations.Open(golden);
        using var verifier = new ModelVerifier(device, source, Math.Max(64, reference.InputIds.Count));
        return verifier.Compare(reference);
    }
}
