using System.Text.Json.Nodes;
using Cleave.Compute;
using Cleave.Inference.Verification;
using Cleave.Models;

namespace Cleave.Inference.Tests.Verification;

/// <summary>Checkpoints against activations that Hugging Face transformers computed on them.</summary>
public sealed class ReferenceCheckpointTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-verify-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen2")]
    [InlineData("gemma3")]
    public void EveryLayerLogitsAndGreedyTokensAgree(string name)
    {
        VerificationReport report = Verify(Checkpoint.Fixture(name), name);
        Assert.True(report.Passed, $"layers {report.MaxRelativeError:E2}, logits {report.LogitsError:E2}, greedy {report.GreedyEqualUntil}");
        Assert.All(report.LayerErrors, error => Assert.InRange(error!.Value, 0, VerificationReport.Tolerance));
        Assert.Equal(report.GreedyLength, report.GreedyEqualUntil);
    }

    [Fact]
    public void BothSpellingsOfAConfigurationAgree()
    {
        // The fixture has transformers 5's spelling; this is transformers 4's of the same model.
        Checkpoint old = Checkpoint.Read("llama");
        JsonObject rope = old.Config["rope_parameters"]!.AsObject();
        old.Config.Remove("rope_parameters");
        old.Config["rope_theta"] = rope["rope_theta"]!.DeepClone();
        rope.Remove("rope_theta");
        old.Config["rope_scaling"] = rope.DeepClone();
        old.Config["torch_dtype"] = "bfloat16";
        old.Config.Remove("dtype");
        Assert.True(Verify(old.WriteTo(_folder, "old"), "llama").Passed);
    }

    [Fact]
    public void ShardsAgreeWithTheWhole() =>
        Assert.True(Verify(Checkpoint.Read("llama").WriteTo(_folder, "sharded", shards: 3), "llama").Passed);

    [Fact]
    public void FusedProjectionsAgreeWithTheSameInParts()
    {
        // The same weights as Phi-3 stores them.
        Checkpoint phi = Checkpoint.Read("llama");
        phi.Config["model_type"] = "phi3";
        for (int layer = 0; layer < 6; layer++)
        {
            string p = $"model.layers.{layer}.";
            phi.Stack($"{p}self_attn.qkv_proj.weight", $"{p}self_attn.q_proj.weight", $"{p}self_attn.k_proj.weight", $"{p}self_attn.v_proj.weight");
            phi.Stack($"{p}mlp.gate_up_proj.weight", $"{p}mlp.gate_proj.weight", $"{p}mlp.up_proj.weight");
        }

        Assert.True(Verify(phi.WriteTo(_folder, "phi3"), "llama").Passed);
    }

    [Fact]
    public void EqualExpertsAgreeWithTheDenseModel()
    {
        // Whatever the router says, the chosen experts' weights sum to one.
        Checkpoint mixture = Checkpoint.Read("llama");
        mixture.Config["model_type"] = "mixtral";
        mixture.Config["num_local_experts"] = 3;
        mixture.Config["num_experts_per_tok"] = 2;
        for (int layer = 0; layer < 6; layer++)
        {
            string p = $"model.layers.{layer}.";
            for (int expert = 0; expert < 3; expert++)
            {
                mixture.Copy($"{p}mlp.gate_proj.weight", $"{p}block_sparse_moe.experts.{expert}.w1.weight");
                mixture.Copy($"{p}mlp.up_proj.weight", $"{p}block_sparse_moe.experts.{expert}.w3.weight");
                mixture.Copy($"{p}mlp.down_proj.weight", $"{p}block_sparse_moe.experts.{expert}.w2.weight");
            }

            // Any three rows serve as a router.
            mixture.Slice($"{p}self_attn.k_proj.weight", $"{p}block_sparse_moe.gate.weight", 3);
            mixture.Remove($"{p}mlp.gate_proj.weight", $"{p}mlp.up_proj.weight", $"{p}mlp.down_proj.weight");
        }

        Assert.True(Verify(mixture.WriteTo(_folder, "mixtral"), "llama").Passed);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen2")]
    [InlineData("gemma3")]
    public void TheSameModelAsGgufAgrees(string name) =>
        Assert.True(Verify(GgufTwin.Write(Checkpoint.Read(name), Path.Combine(_folder.FullName, name + ".gguf")), name).Passed);

    [Fact]
    public void AWrongWeightFails()
    {
        Checkpoint wrong = Checkpoint.Read("llama");
        wrong.Copy("model.layers.2.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight");
        VerificationReport report = Verify(wrong.WriteTo(_folder, "wrong"), "llama");
        Assert.False(report.Passed);
        Assert.InRange(report.LayerErrors[2]!.Value, 0, VerificationReport.Tolerance);
        Assert.True(report.LayerErrors[3] > VerificationReport.Tolerance);
    }

    [Fact]
    public void AReferenceOfAnotherModelIsRefused() =>
        Assert.Contains("layer_0", Assert.Throws<ModelFormatException>(() => Verify(DemoModel.Path, "llama")).Message, StringComparison.Ordinal);

    private static VerificationReport Verify(string model, string golden)
    {
        using var device = new CpuDevice();
        using IModelSource source = ModelSource.Open(model);
        using var verifier = new ModelVerifier(device, source, 64);
        return verifier.Compare(ReferenceActivations.Open(Path.Combine(Checkpoint.Fixture(golden), "golden.safetensors")));
    }
}
