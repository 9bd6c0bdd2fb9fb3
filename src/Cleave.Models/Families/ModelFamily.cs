using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>What is particular to a model family: how its files spell the configuration and name the tensors.</summary>
internal abstract class ModelFamily
{
    private static readonly ModelFamily[] All =
    [
        new LlamaFamily(), new MistralFamily(), new MixtralFamily(), new Qwen2Family(), new Qwen3Family(), new Qwen3MoeFamily(),
        new Phi3Family(), new Gemma2Family(), new Gemma3Family(), new GraniteFamily(), new Olmo2Family(), new SmolLm3Family(),
    ];

    /// <summary>"model_type" in config.json.</summary>
    public abstract string HfType { get; }

    /// <summary>"general.architecture" in GGUF files; null when they call the family by another's name.</summary>
    public abstract string? GgufArchitecture { get; }

    public static string SupportedGguf => string.Join(", ", All.Select(family => family.GgufArchitecture).OfType<string>());

    public static string SupportedHf => string.Join(", ", All.Select(family => family.HfType));

    public static ModelFamily? OfGguf(string architecture) => Array.Find(All, family => family.GgufArchitecture == architecture);

    public static ModelFamily? OfHf(string modelType) => Array.Find(All, family => family.HfType == modelType);

    /// <summary>The configuration a config.json states.</summary>
    public abstract ModelConfig Configure(HfConfig file);

    /// <summary>Where a checkpoint directory keeps the tensors.</summary>
    public virtual TensorLayout Layout(HfConfig file, ModelConfig config)
    {
        bool bias = file.Flag("attention_bias");
        return HfLayout.For(config, bias, bias, file.Flag("mlp_bias"));
    }

    /// <summary>The configuration a GGUF file states.</summary>
    public virtual ModelConfig Configure(GgufFields fields) => throw new NotSupportedException();

    /// <summary>Where a GGUF file keeps the tensors.</summary>
    public virtual TensorLayout Layout(GgufFields fields, ModelConfig config) => GgufLayout.For(config);
}
