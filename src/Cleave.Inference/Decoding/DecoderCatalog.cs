namespace Cleave.Inference.Decoding;

/// <summary>The decoders by name. A new drafter is one file and one line here.</summary>
public static class DecoderCatalog
{
    private static readonly Dictionary<string, Func<DrafterContext, IDrafter>> Factories = new(StringComparer.Ordinal)
    {
        ["sequential"] = _ => new SequentialDrafter(),
        ["ngram"] = context => new NgramDrafter(context.NgramMinKey, context.NgramMaxKey, context.NgramChain),
        ["suffix"] = _ => new SuffixDrafter(),
    };

    /// <summary>Decoder names, the baseline first.</summary>
    public static IReadOnlyCollection<string> Names => Factories.Keys;

    /// <summary>A decoder that needs nothing but tokens.</summary>
    public static string Best => "suffix";

    /// <summary>Makes the drafter of a decoder.</summary>
    /// <exception cref="InferenceException">No decoder has this name.</exception>
    public static IDrafter Create(string name, DrafterContext context) => Factories.TryGetValue(name, out Func<DrafterContext, IDrafter>? factory)
        ? factory(context)
        : throw new InferenceException($"there is no decoder '{name}'; the decoders are {string.Join(", ", Names)}");
}
