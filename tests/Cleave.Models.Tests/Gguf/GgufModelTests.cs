using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Models.Gguf;

namespace Cleave.Models.Tests.Gguf;

public sealed class GgufModelTests
{
    [Fact]
    public void TheBundledModelIsWhatItsCardSays()
    {
        using IModelSource model = ModelSource.Open(Repository.Demo);
        ModelConfig config = model.Config;
        Assert.Equal("llama", config.Architecture);
        Assert.Equal("Cleave Demo 24M", config.Name);
        Assert.Equal(
            (12, 384, 6, 2, 64, 1024, 12288, 2048),
            (config.Layers, config.HiddenSize, config.Heads, config.KvHeads, config.HeadDim, config.FeedForwardSize, config.VocabularySize, config.ContextLength));
        Assert.True(config.TiedEmbeddings);
        Assert.Equal(1e-5f, config.NormEpsilon);
        Assert.Equal(0.125f, config.AttentionScale);
        Assert.Equal((32, RopeLayout.Interleaved), (config.Rope.Pairs, config.Rope.Layout));
        Assert.Equal(new LayerRange(0, 12), model.Layers);
        Assert.True(model.HasEnds);
        Assert.Equal("", model.LoadTransform);
    }

    [Fact]
    public void TensorsHaveTheirShapesAndBytes()
    {
        using GgufModel model = GgufModel.Open(Repository.Draft);
        TensorData gate = model.Layer(1, LayerTensor.Gate)!;
        Assert.Equal(("blk.1.ffn_gate.weight", ElementType.Q8_0, 512L, 192L), (gate.Name, gate.Type, gate.Rows, gate.Columns));
        Assert.Null(model.Layer(1, LayerTensor.QueryBias));
        Assert.Null(model.Layer(1, LayerTensor.Router));
        Assert.Null(model.Layer(1, LayerTensor.AttentionPostNorm));
        Assert.Equal(model.End(EndTensor.Embedding).Name, model.End(EndTensor.LmHead).Name);

        // The file's own bytes: offset 2506752 of the data section, which starts at the aligned end of the header.
        byte[] file = File.ReadAllBytes(Repository.Draft);
        long data = (404770 + 31) / 32 * 32;
        Assert.True(model.End(EndTensor.FinalNorm).Row(0).SequenceEqual(file.AsSpan((int)(data + 2506752), 192 * 4)));
        float[] norm = MemoryMarshal.Cast<byte, float>(model.End(EndTensor.FinalNorm).Row(0)).ToArray();
        Assert.All(norm, value => Assert.InRange(value, 0.01f, 100f));
    }

    [Fact]
    public void RequestsOutsideTheModelAreRefused()
    {
        GgufModel model = GgufModel.Open(Repository.Draft);
        Assert.Contains("layer 3", Assert.Throws<ModelFormatException>(() => model.Layer(3, LayerTensor.Query)).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => model.Layer(-1, LayerTensor.Query));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Expert(0, 0, LayerTensor.Gate));
        TensorData kept = model.Layer(0, LayerTensor.Query)!;
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.Layer(0, LayerTensor.Query));
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.NotEqual(0, kept.Row(0).ToArray().Sum(b => b));
    }

    [Fact]
    public void TheTokenizerIsReadWhenAskedFor()
    {
        GgufTokenizer tokenizer = GgufTokenizer.Read(GgufMetadata.Open(Repository.Draft))!;
        Assert.Equal(("gpt2", "llama-bpe", 12288, 12026), (tokenizer.Model, tokenizer.PreTokenizer, tokenizer.Tokens.Length, tokenizer.Merges!.Length));
        Assert.Equal((0, 3, true), (tokenizer.BosId, tokenizer.EosId, tokenizer.AddBos));
        Assert.Contains("<|assistant|>", tokenizer.ChatTemplate, StringComparison.Ordinal);
    }

    [Fact]
    public void OpeningHoldsNoVocabulary()
    {
        GgufModel.Open(Repository.Draft).Dispose();
        long before = GC.GetAllocatedBytesForCurrentThread();
        using GgufModel model = GgufModel.Open(Repository.Draft);
        long opened = GC.GetAllocatedBytesForCurrentThread() - before;
        GgufTokenizer.Read(model.Metadata);
        long read = GC.GetAllocatedBytesForCurrentThread() - before - opened;
        Assert.True(opened * 8 < read, $"opening allocated {opened} bytes, reading the tokenizer {read}");
    }

    [Fact]
    public void MetadataIsTyped()
    {
        GgufMetadata metadata = GgufMetadata.Open(Repository.Draft);
        Assert.Equal(3, metadata.Integer("llama.block_count"));
        Assert.Equal(10000, metadata.Number("llama.rope.freq_base"));
        Assert.True(metadata.Boolean("tokenizer.ggml.add_bos_token"));
        Assert.Equal(12288, metadata.ArrayLength("tokenizer.ggml.tokens"));
        Assert.Null(metadata.String("absent"));
        Assert.Contains(
            "'general.name' is String; an integer",
            Assert.Throws<ModelFormatException>(() => metadata.Integer("general.name")).Message,
            StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => metadata.Integers("tokenizer.ggml.tokens"));
        Assert.Throws<ModelFormatException>(() => metadata.Strings("tokenizer.ggml.token_type"));
        Assert.Throws<ModelFormatException>(() => metadata.Boolean("llama.block_count"));
    }

    [Fact]
    public void PathsWithoutAModelAreNamed()
    {
        using var folder = new TemporaryFolder();
        string absent = folder.File("absent.gguf");
        Assert.Contains(absent, Assert.Throws<ModelFormatException>(() => ModelSource.Open(absent)).Message, StringComparison.Ordinal);
        string empty = folder.File("empty.gguf");
        File.WriteAllBytes(empty, []);
        Assert.Contains("empty", Assert.Throws<ModelFormatException>(() => ModelSource.Open(empty)).Message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => ModelSource.Open(folder.Path));
    }
}
