using Cleave.Models.Gguf;

namespace Cleave.Models.Tests.Gguf;

/// <summary>Files that lie: each must be refused by name, at no cost in memory.</summary>
public sealed class HostileGgufTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Target => _folder.File("hostile.gguf");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TheHonestFileOpens()
    {
        using GgufModel model = GgufModel.Open(Tiny().WriteTo(Target));
        Assert.Equal(1, model.Config.Layers);
        Assert.Equal(4, model.Config.HeadDim);
    }

    [Fact]
    public void MagicAndVersion()
    {
        Refuses(new GgufBytes { Magic = 0x46554746 }, "GGUF file");
        Refuses(new GgufBytes { Version = 1 }, "version 1");
        Refuses(new GgufBytes { Version = 4 }, "version 4");
        Refuses(new GgufBytes { Version = 0x03000000 }, "big-endian");
        File.WriteAllBytes(Target, "GG"u8);
        Refuses("truncated");
        File.WriteAllBytes(Target, "GGUF"u8);
        Refuses("truncated");
    }

    [Theory]
    [InlineData(1UL << 20)]
    [InlineData(1UL << 40)]
    [InlineData(ulong.MaxValue)]
    public void CountsThatLie(ulong count)
    {
        Refuses(new GgufBytes { MetadataCount = count }, "metadata count");
        Refuses(new GgufBytes { TensorCount = count }, "tensor count");
        Refuses(new GgufBytes().Pair("k", GgufValueType.String, BitConverter.GetBytes(count)), "'k'");
        Refuses(new GgufBytes().Pair("k", GgufValueType.Array, [.. BitConverter.GetBytes(8u), .. BitConverter.GetBytes(count)]), "'k'");
        Refuses(new GgufBytes().Pair("k", GgufValueType.Array, [.. BitConverter.GetBytes(4u), .. BitConverter.GetBytes(count)]), "'k'");
    }

    [Fact]
    public void CountsWithinTheFileButPastReason()
    {
        // The bytes are there, as a hole: the caps hold all the same.
        Refuses(new GgufBytes { MetadataCount = 1 << 20, DataBytes = 1L << 30 }, "at most");
        Refuses(new GgufBytes { TensorCount = 1 << 20, DataBytes = 1L << 30 }, "at most");
        Refuses(new GgufBytes { MetadataCount = 2, DataBytes = 1L << 30 }.Pair("general.name", GgufValueType.String, BitConverter.GetBytes(1UL << 29)), "general.architecture");
        new GgufBytes { DataBytes = 1L << 30 }.Pair("long", GgufValueType.String, BitConverter.GetBytes(1UL << 29))
            .WriteTo(Target);
        GgufMetadata metadata = GgufMetadata.Open(Target);
        Assert.Throws<ModelFormatException>(() => metadata.String("long"));
    }

    [Fact]
    public void HugeArraysAreNotDecoded()
    {
        new GgufBytes { DataBytes = 1L << 30 }
            .Pair("numbers", GgufValueType.Array, [.. BitConverter.GetBytes(4u), .. BitConverter.GetBytes(1UL << 27)])
            .WriteTo(Target);
        GgufMetadata metadata = GgufMetadata.Open(Target);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("134217728", Assert.Throws<ModelFormatException>(() => metadata.Integers("numbers")).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => metadata.Numbers("numbers"));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    [Fact]
    public void MetadataThatIsWrong()
    {
        Refuses(new GgufBytes().Pair("twice", 1u).Pair("twice", 2u), "'twice' occurs twice");
        Refuses(new GgufBytes().Pair([0xFF, 0xFE], 4, 0, 0, 0, 0), "metadata key 0 is not valid UTF-8");
        Refuses(new GgufBytes().Pair("k"u8.ToArray(), 13, 0, 0, 0, 0), "type 13");
        Refuses(new GgufBytes().Pair("k", GgufValueType.Array, [.. BitConverter.GetBytes(9u), .. new byte[16]]), "array of arrays");
        Refuses(new GgufBytes().Pair("general.architecture", GgufValueType.String, GgufBytes.Text([0xC3])), "not valid UTF-8");
        Refuses(new GgufBytes().Pair("general.architecture", "mamba"), "'mamba' is not supported; supported: llama");
        Refuses(new GgufBytes(), "general.architecture");
        foreach (uint alignment in (ReadOnlySpan<uint>)[0, 4, 33, 1u << 31])
        {
            Refuses(new GgufBytes().Pair("general.alignment", alignment), $"'general.alignment' is {alignment}");
        }
    }

    [Theory]
    [InlineData("llama.block_count", 0u)]
    [InlineData("llama.block_count", 2u)]
    [InlineData("llama.block_count", uint.MaxValue)]
    [InlineData("llama.embedding_length", 16u)]
    [InlineData("llama.attention.head_count", 0u)]
    [InlineData("llama.attention.head_count_kv", 3u)]
    [InlineData("llama.attention.head_count_kv", 4u)]
    [InlineData("llama.feed_forward_length", 32u)]
    [InlineData("llama.vocab_size", 17u)]
    [InlineData("llama.context_length", 0u)]
    [InlineData("llama.rope.dimension_count", 3u)]
    [InlineData("llama.rope.dimension_count", 6u)]
    [InlineData("llama.expert_count", 2u)]
    [InlineData("cleave.layers.end", 2u)]
    [InlineData("cleave.layers.start", 1u)]
    public void SizesThatDoNotFit(string key, uint value) => Refuses(Tiny((key, value)), "hostile.gguf");

    [Theory]
    [InlineData(0f)]
    [InlineData(-1f)]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void NumbersThatAreNone(float value)
    {
        Refuses(Tiny(epsilon: value), "'llama.attention.layer_norm_rms_epsilon'");
        Refuses(Tiny().Pair("llama.rope.freq_base", value), "'llama.rope.freq_base'");
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("yarn")]
    [InlineData("longrope")]
    public void RopeVariantsWithoutReference(string type) =>
        Refuses(Tiny().Pair("llama.rope.scaling.type", type).Pair("llama.rope.scaling.factor", 4f), $"'{type}'");

    [Fact]
    public void TensorsThatAreWrong()
    {
        Refuses(new GgufBytes().Tensor("t", 0, 0), "0 dimensions");
        Refuses(new GgufBytes().Tensor("t", 0, 0, 1, 1, 1, 1, 1), "5 dimensions");
        Refuses(new GgufBytes().Tensor("t", 0, 0, 0), "dimension of 0");
        Refuses(new GgufBytes().Tensor("t", 0, 0, ulong.MaxValue), "dimension of 18446744073709551615");
        Refuses(new GgufBytes().Tensor("t", 0, 0, 1 << 30, 1 << 30, 1 << 30, 1 << 30), "would take");
        Refuses(new GgufBytes().Tensor("t", 0, 0, 8), "truncated");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 0, 1UL << 63, 8), "'t'");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 0, 8, 8), "alignment 32");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 8, 0, 31), "whole number of Q8_0 blocks");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 3, 0, 32), "Q4_1, which is not supported; supported: F32, F16, Q4_0, Q8_0, Q4_K, Q5_K, Q6_K, BF16");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 999, 0, 32), "number 999");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 0, 0, 8).Tensor("t", 0, 32, 8), "'t' occurs twice");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor("t", 0, 0, 16).Tensor("u", 0, 32, 8), "'t' and 'u' overlap");
        Refuses(new GgufBytes { DataBytes = 64 }.Tensor(new string('x', 300), 0, 0, 8), "300 bytes long");
    }

    [Fact]
    public void TensorsThatAreMissingOrTooMany()
    {
        Refuses(Tiny(leaveOut: "blk.0.attn_k.weight"), "'blk.0.attn_k.weight' is missing");
        Refuses(Tiny(leaveOut: "token_embd.weight"), "vocabulary");
        Refuses(Tiny(leaveOut: "output_norm.weight"), "'output_norm.weight' is missing");
        Refuses(Tiny(add: "blk.1.attn_q.weight"), "'blk.1.attn_q.weight' has no place");
        Refuses(Tiny(add: "blk.0.ffn_gate.scale"), "'blk.0.ffn_gate.scale' has no place");
        Refuses(Tiny(add: "rope_freqs.weight"), "F32 [2] is expected");
    }

    [Fact]
    public void AnyTruncationIsRefused()
    {
        byte[] whole = File.ReadAllBytes(Repository.Draft);
        Gen.OneOf(Gen.Int[0, 2000], Gen.Int[2000, 404_000], Gen.Int[400_000, 404_800], Gen.Int[404_800, whole.Length - 1]).Sample(
            length =>
            {
                string path = _folder.File($"{Guid.NewGuid():N}.gguf");
                File.WriteAllBytes(path, whole.AsSpan(0, length));
                Assert.Contains(path, Assert.Throws<ModelFormatException>(() => GgufModel.Open(path)).Message, StringComparison.Ordinal);
                File.Delete(path);
            },
            iter: 150);
    }

    [Fact]
    public void AnyDamageToTheHeaderIsRefusedOrHarmless()
    {
        byte[] whole = File.ReadAllBytes(Repository.Draft);
        const int header = 404_770;

        // The first two kilobytes hold the sizes, the last two the tensors; between them lies the vocabulary.
        Gen<int> place = Gen.OneOf(Gen.Int[0, 2000], Gen.Int[0, header - 1], Gen.Int[header - 2000, header - 1]);
        Gen<byte[]> content = Gen.OneOf(
            Gen.Byte.Array[1, 8], Gen.Byte.Select(b => new[] { b, b, b, b, b, b, b, b }), Gen.ULong.Select(BitConverter.GetBytes));
        Gen.Select(place, content).Array[1, 3].Sample(
            changes =>
            {
                byte[] bytes = whole.AsSpan(0, header).ToArray();
                foreach ((int at, byte[] what) in changes)
                {
                    what.AsSpan(0, Math.Min(what.Length, header - at)).CopyTo(bytes.AsSpan(at));
                }

                string path = _folder.File($"{Guid.NewGuid():N}.gguf");
                using (FileStream stream = File.Create(path))
                {
                    stream.Write(bytes);
                    stream.SetLength(whole.Length);
                }

                long before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    using GgufModel model = GgufModel.Open(path);
                    _ = GgufTokenizer.Read(model.Metadata);
                    foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
                    {
                        _ = model.Layer(model.Layers.Start, role)?.Row(0).ToArray();
                    }
                }
                catch (ModelFormatException e)
                {
                    Assert.Contains(path, e.Message, StringComparison.Ordinal);
                }

                // Reading the undamaged tokenizer takes 2 MB; a lying length must not take more.
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
                File.Delete(path);
            },
            iter: 400);
    }

    // One layer, hidden 8, two heads of four, feed-forward 16, vocabulary 16.
    private static GgufBytes Tiny(
        (string Key, uint Value)? change = null, float epsilon = 1e-5f, string? leaveOut = null, string? add = null)
    {
        var file = new GgufBytes();
        file.Pair("general.architecture", "llama").Pair("llama.attention.layer_norm_rms_epsilon", epsilon);
        var sizes = new Dictionary<string, uint>
        {
            ["llama.block_count"] = 1,
            ["llama.embedding_length"] = 8,
            ["llama.attention.head_count"] = 2,
            ["llama.attention.head_count_kv"] = 1,
            ["llama.feed_forward_length"] = 16,
            ["llama.context_length"] = 32,
        };
        if (change is { } pair)
        {
            sizes[pair.Key] = pair.Value;
        }

        foreach ((string key, uint value) in sizes)
        {
            file.Pair(key, value);
        }

        ulong offset = 0;
        List<(string Name, ulong[] Shape)> tensors =
        [
            ("token_embd.weight", [8, 16]), ("output_norm.weight", [8]), ("blk.0.attn_norm.weight", [8]), ("blk.0.ffn_norm.weight", [8]),
            ("blk.0.attn_q.weight", [8, 8]), ("blk.0.attn_k.weight", [8, 4]), ("blk.0.attn_v.weight", [8, 4]),
            ("blk.0.attn_output.weight", [8, 8]), ("blk.0.ffn_gate.weight", [8, 16]), ("blk.0.ffn_up.weight", [8, 16]),
            ("blk.0.ffn_down.weight", [16, 8]),
        ];
        if (add is not null)
        {
            tensors.Add((add, [8]));
        }

        foreach ((string name, ulong[] shape) in tensors.Where(tensor => tensor.Name != leaveOut))
        {
            file.Tensor(name, 0, offset, shape);
            offset += (shape.Aggregate(4UL, (a, b) => a * b) + 31) / 32 * 32;
        }

        file.DataBytes = (long)offset;
        return file;
    }

    private void Refuses(GgufBytes file, string named)
    {
        file.WriteTo(Target);
        Refuses(named);
    }

    private void Refuses(string named)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<ModelFormatException>(() => GgufModel.Open(Target));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
        Assert.Contains(Target, e.Message, StringComparison.Ordinal);
    }
}
