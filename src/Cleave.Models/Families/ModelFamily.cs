using Cleave.Models.Gguf;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>What is particular to a model family: how its files spell the configuration and name the tensors.</summary>
internal abstract class ModelFamily
{
    private static readonly ModelFamily[] All = [new LlamaFamily()];

    /// <summary>Values of GGUF's "general.architecture".</summary>
    public abstract IReadOnlyList<string> GgufArchitectures { get; }

    public static string SupportedGguf => string.Join(", ", All.SelectMany(family => family.GgufArchitectures));

    public static ModelFamily? OfGguf(string architecture) =>
        Array.Find(All, family => family.GgufArchitectures.Contains(architecture));

    /// <summary>The configuration a GGUF file states.</summary>
    public abstract ModelConfig Configure(GgufFields fields);

    /// <summary>Where a GGUF file keeps the tensors.</summary>
    public virtual TensorLayout Layout(GgufFields fields, ModelConfig config) => GgufLayout.For(config);
}
