using System.Buffers.Binary;
using Cleave.Compute;
using Cleave.Inference.Tests.Verification;
using Cleave.Models;

namespace Cleave.Inference.Tests.Devices;

/// <summary>A model that is refused half-way leaves nothing on the device: packed weights and those of a GPU are memory of their own.</summary>
public sealed class FailedLoadTests : IDisposable
{
    private const string Wide = "\"hidden_size\": 128, \"intermediate_size\": 256, \"head_dim\": 32";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-refused-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("llama", "", "model.layers.1.self_attn.q_proj.weight")]
    [InlineData("llama", "", "model.layers.1.self_attn.o_proj.weight")]
    [InlineData("llama", "", "model.layers.1.mlp.down_proj.weight")]
    [InlineData("llama", "", "model.layers.3.mlp.up_proj.weight")]
    [InlineData("llama", "", "lm_head.weight")]
    [InlineData("qwen2", ", \"use_sliding_window\": false", "model.layers.1.self_attn.k_proj.bias")]
    [InlineData("mixtral", ", \"num_local_experts\": 4, \"num_experts_per_tok\": 2, \"sliding_window\": null", "model.layers.0.block_sparse_moe.experts.2.w2.weight")]
    public void Everything_loaded_before_a_number_that_is_none_is_given_back(string type, string changes, string bad)
    {
        Checkpoint checkpoint = RandomCheckpoint.Make(type, $"{{{Wide}{changes}}}", dtype: "BF16");
        (string stored, long[] shape, byte[] data) = checkpoint[bad];
        BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(data.Length - sizeof(ushort)), 0x7fc0);
        checkpoint.Add(bad, stored, shape, data);
        using IModelSource source = ModelSource.Open(checkpoint.WriteTo(_folder, "model"));
        using var device = new CpuDevice(packBF16: true);

        // No tokenizer is asked before the weights are there.
        ModelFormatException refused = Assert.Throws<ModelFormatException>(() => TrustedModel.Load(source, null!, device, new Cut(2, 2), kvTokens: 64));
        Assert.Contains(bad, refused.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.AllocatedBytes);
    }
}
