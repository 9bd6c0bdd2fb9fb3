using System.Text.Json.Nodes;
using Cleave.Compute;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Tests.HuggingFace;

public sealed class HfModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ACheckpointOpens()
    {
        using IModelSource model = ModelSource.Open(new TinyCheckpoint(2).WriteTo(_folder));
        Assert.Equal(("llama", 2, 32, 16, 16), (model.Config.Architecture, model.Config.Layers, model.Config.HiddenSize, model.Config.HeadDim, model.Config.VocabularySize));
        Assert.Equal(RopeLayout.Halves, model.Config.Rope.Layout);
        Assert.True(model.HasEnds);
        Assert.Equal(model.End(EndTensor.Embedding).Name, model.End(EndTensor.LmHead).Name);
        Assert.Null(model.Layer(0, LayerTensor.QueryBias));
    }

    [Fact]
    public void ExportedLayersAreTheSameLayers()
    {
        using IModelSource whole = ModelSource.Open(new TinyCheckpoint(4).WriteTo(_folder));
        string path = _folder.File("middle");
        MiddleExport.Write(whole, new LayerRange(1, 3), path);
        using IModelSource middle = ModelSource.Open(path);
        Assert.Equal(new LayerRange(1, 3), middle.Layers);
        Assert.Equal(4, middle.Config.Layers);
        Assert.False(middle.HasEnds);
        Assert.Equal(LayerHash.Compute(whole, 2), LayerHash.Compute(middle, 2));
        Assert.Throws<ModelFormatException>(() => middle.Layer(0, LayerTensor.Query));
        Assert.Throws<ModelFormatException>(() => middle.End(EndTensor.FinalNorm));
        Assert.Throws<IOException>(() => MiddleExport.Write(whole, new LayerRange(1, 3), path));
        Assert.Equal(["middle", "model"], Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void QuantisingAtLoadStaysCloseAndChangesTheHash()
    {
        using IModelSource stored = ModelSource.Open(new TinyCheckpoint(1).WriteTo(_folder));
        using var quantised = new QuantizedModel(ModelSource.Open(_folder.File("model")));
        Assert.Equal("q8_0", quantised.LoadTransform);
        Assert.NotEqual(LayerHash.Compute(stored, 0), LayerHash.Compute(quantised, 0));
        Assert.Equal(ElementType.F32, quantised.Layer(0, LayerTensor.AttentionNorm)!.Type);
        Assert.Same(quantised.End(EndTensor.Embedding), quantised.End(EndTensor.LmHead));
        TensorData exact = stored.Layer(0, LayerTensor.Down)!;
        TensorData coarse = quantised.Layer(0, LayerTensor.Down)!;
        Assert.Equal((ElementType.Q8_0, exact.Rows, exact.Columns), (coarse.Type, coarse.Rows, coarse.Columns));
        for (int row = 0; row < exact.Rows; row++)
        {
            for (int column = 0; column < exact.Columns; column++)
            {
                float number = BitConverter.ToSingle(exact.Row(row)[(4 * column)..]);
                ReadOnlySpan<byte> block = coarse.Row(row).Slice(column / 32 * 34, 34);
                float decoded = (float)BitConverter.ToHalf(block) * (sbyte)block[2 + (column % 32)];

                // Half a step of 1/127, and the rounding of the scale itself.
                Assert.InRange(Math.Abs(number - decoded), 0, (0.5f / 127) + 0.001f);
            }
        }
    }

    [Theory]
    [InlineData("model_type", "\"mamba\"", "'mamba' is not supported; supported: llama")]
    [InlineData("model_type", "null", "model_type")]
    [InlineData("hidden_size", "33", "33]")]
    [InlineData("hidden_size", "0", "hidden_size")]
    [InlineData("hidden_size", "1e30", "hidden_size")]
    [InlineData("num_hidden_layers", "2", "model.layers.1.")]
    [InlineData("num_hidden_layers", "\"1\"", "num_hidden_layers")]
    [InlineData("num_key_value_heads", "3", "num_key_value_heads")]
    [InlineData("vocab_size", "17", "[17, 32]")]
    [InlineData("rms_norm_eps", "-1", "rms_norm_eps")]
    [InlineData("rope_theta", "0", "rope_theta")]
    [InlineData("rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":4}", "'yarn' is not supported")]
    [InlineData("rope_scaling", "{\"type\":\"linear\",\"factor\":4}", "'linear' is not supported")]
    [InlineData("rope_scaling", "{\"rope_type\":\"llama3\"}", "'factor'")]
    [InlineData("rope_scaling", "5", "rope_scaling")]
    [InlineData("rope_parameters", "{\"rope_type\":\"longrope\"}", "'longrope'")]
    [InlineData("hidden_act", "\"relu2\"", "'relu2'")]
    [InlineData("attention_bias", "true", "q_proj.bias' is missing")]
    [InlineData("mlp_bias", "true", "mlp.gate_proj.bias")]
    [InlineData("tie_word_embeddings", "false", "lm_head.weight")]
    [InlineData("quantization_config", "{\"quant_method\":\"awq\"}", "'awq'")]
    [InlineData("cleave", "{\"layers\":[0,9]}", "cleave")]
    [InlineData("cleave", "{\"layers\":[1,1]}", "cleave")]
    public void ConfigurationsThatDoNotFitAreRefused(string name, string value, string named)
    {
        var checkpoint = new TinyCheckpoint();
        checkpoint.Config[name] = JsonNode.Parse(value);
        Refuses(checkpoint.WriteTo(_folder), named);
    }

    [Fact]
    public void HostileHeadersAreRefused()
    {
        foreach (ulong length in (ReadOnlySpan<ulong>)[ulong.MaxValue, 1UL << 40, 1 << 20])
        {
            Refuses(new TinyCheckpoint { StatedHeaderBytes = length }.WriteTo(_folder), "header");
        }

        Refuses(new TinyCheckpoint { StatedHeaderBytes = 3 }.WriteTo(_folder), "JSON");
        Refuses(new TinyCheckpoint().WriteTo(_folder, rawHeader: "[1]"), "JSON object");
        Refuses(new TinyCheckpoint().WriteTo(_folder, rawHeader: "{\"a\":5}"), "'a'");
        Refuses(new TinyCheckpoint().WriteTo(_folder, rawHeader: "{\"\\ud800\":5}"), "JSON");
        Refuses(new TinyCheckpoint().WriteTo(_folder, rawHeader: "{\"a\":{},\"a\":{}}"), "JSON");
        Refuses(new TinyCheckpoint().WriteTo(_folder, rawHeader: new string('[', 100_000)), "JSON");
        Refuses(Bend("model.norm.weight", "shape", "[16]"), "model.norm.weight");
        Refuses(Bend("model.norm.weight", "shape", "[-32]"), "-32");
        Refuses(Bend("model.norm.weight", "shape", "[2147483647,2147483647,2147483647,2147483647,2147483647]"), "model.norm.weight");
        Refuses(Bend("model.norm.weight", "data_offsets", "[0, 128]"), "overlap");
        Refuses(Bend("model.norm.weight", "data_offsets", "[128, 0]"), "truncated or damaged");
        Refuses(Bend("model.norm.weight", "data_offsets", "[9007199254740992, 9007199254741120]"), "truncated or damaged");
        Refuses(Bend("model.norm.weight", "data_offsets", "[1]"), "model.norm.weight");
        Refuses(Bend("model.norm.weight", "dtype", "\"F8_E4M3\""), "F8_E4M3");
        Refuses(Bend("model.norm.weight", "dtype", "\"Q3\""), "Q3");
        var extra = new TinyCheckpoint();
        extra.Add("model.layers.0.self_attn.q_norm.weight", 16);
        Refuses(extra.WriteTo(_folder), "has no place");
    }

    [Fact]
    public void NormsThatAreNoNumbersAreRefused()
    {
        string path = new TinyCheckpoint().WriteTo(_folder);
        string weights = Path.Combine(path, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        int header = (int)BitConverter.ToUInt64(bytes);
        BitConverter.GetBytes(float.NaN).CopyTo(bytes, 8 + header + (16 * 32 * 4) + (5 * 4));
        File.WriteAllBytes(weights, bytes);
        using IModelSource model = ModelSource.Open(path);
        Assert.Contains("element 5 of 'model.norm.weight' is NaN", Assert.Throws<ModelFormatException>(() => model.End(EndTensor.FinalNorm)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("absent.safetensors")]
    public void AnIndexCannotLeadOutOfItsDirectory(string shard)
    {
        string path = new TinyCheckpoint().WriteTo(_folder);
        File.Move(Path.Combine(path, "model.safetensors"), Path.Combine(path, "part.safetensors"));
        File.WriteAllText(Path.Combine(path, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = new JsonObject { ["model.norm.weight"] = shard } }.ToJsonString());
        Assert.Throws<ModelFormatException>(() => ModelSource.Open(path));
    }

    [Fact]
    public void AnyDamageIsRefusedOrHarmless()
    {
        string path = new TinyCheckpoint().WriteTo(_folder);
        byte[] whole = File.ReadAllBytes(Path.Combine(path, "model.safetensors"));
        int header = (int)BitConverter.ToUInt64(whole) + 8;
        Gen.Select(Gen.Int[0, header - 1], Gen.Byte, Gen.Int[0, whole.Length]).Sample(
            (at, value, length) =>
            {
                string directory = _folder.File($"{Guid.NewGuid():N}");
                Directory.CreateDirectory(directory);
                File.Copy(Path.Combine(path, "config.json"), Path.Combine(directory, "config.json"));
                byte[] bytes = [.. whole];
                bytes[at] = value;
                File.WriteAllBytes(Path.Combine(directory, "model.safetensors"), at % 2 == 0 ? bytes : bytes[..length]);
                try
                {
                    using IModelSource model = ModelSource.Open(directory);
                    _ = model.Layer(0, LayerTensor.Down)!.Row(31).ToArray();
                }
                catch (ModelFormatException e)
                {
                    Assert.Contains(directory, e.Message, StringComparison.Ordinal);
                }

                Directory.Delete(directory, recursive: true);
            },
            iter: 300);
    }

    private string Bend(string tensor, string field, string value)
    {
        var checkpoint = new TinyCheckpoint();
        checkpoint.Header[tensor]![field] = JsonNode.Parse(value);
        return checkpoint.WriteTo(_folder);
    }

    private static void Refuses(string path, string named)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<ModelFormatException>(() => HfModel.Open(path));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }
}
