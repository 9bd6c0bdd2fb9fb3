using Cleave.Fuzzing;
using Cleave.Models.Families;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Tests.Fuzzing;

/// <summary>GGUF files, safetensors files and configurations that somebody damaged, by chance or with intent.</summary>
public sealed class ModelFileFuzzTests
{
    [Fact]
    public void GgufFiles() => Assert.InRange(Fuzz.Run<ModelFormatException>("gguf", ReadGguf), 1, Fuzz.Iterations);

    [Fact]
    public void SafetensorsFiles() => Assert.InRange(Fuzz.Run<ModelFormatException>("safetensors", ReadSafetensors), 1, Fuzz.Iterations);

    [Fact]
    public void Configurations() => Assert.InRange(Fuzz.Run<ModelFormatException>("config", ReadConfig), 1, Fuzz.Iterations);

    private static void ReadGguf(byte[] bytes)
    {
        using GgufModel model = GgufModel.Open(MappedFile.OfPrefix("fuzz.gguf", bytes, bytes.Length));
        _ = GgufTokenizer.Read(model.Metadata);
        ReadLayers(model);
    }

    private static void ReadLayers(GgufModel model)
    {
        for (int layer = model.Layers.Start; layer < model.Layers.End; layer++)
        {
            foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
            {
                if (model.Layer(layer, role) is { } tensor)
                {
                    WeightCheck.Finite(model.Path, tensor);
                }
            }
        }

        if (model.HasEnds)
        {
            foreach (EndTensor end in Enum.GetValues<EndTensor>())
            {
                WeightCheck.Finite(model.Path, model.End(end));
            }
        }
    }

    private static void ReadSafetensors(byte[] bytes)
    {
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        Safetensors.Read(MappedFile.OfPrefix("fuzz.safetensors", bytes, bytes.Length), tensors, static name => name == "input_ids");
        foreach (StoredTensor tensor in tensors.Values.Where(static tensor => tensor.Shape.Length is 1 or 2 && tensor.ByteLength > 0))
        {
            WeightCheck.Finite("fuzz.safetensors", tensor.Map());
        }
    }

    private static void ReadConfig(byte[] bytes)
    {
        HfConfig file = HfConfig.Parse("/fuzz/config.json", bytes);
        ModelFamily family = ModelFamily.OfHf(file.ModelType) ?? throw new ModelFormatException("/fuzz/config.json: of no family");
        ModelConfig config = family.Configure(file);
        _ = family.Layout(file, config);
        _ = HfModel.ReadLayers(file, config);

        // Sizes a process could be brought down with are refused: every product below fits where it is used.
        Assert.InRange((long)config.Layers * config.Heads * config.HeadDim, 1, long.MaxValue);
        Assert.True(config.Windows is null || config.Windows.Count == config.Layers);
    }
}
