namespace Cleave.Inference.Decoding;

/// <summary>The decoders by name. A new drafter is one file and one line here.</summary>
public static class DecoderCatalog
{
    private const string PipelinedPrefix = "pipelined:";

    private static readonly Dictionary<string, Func<DrafterContext, IDrafter>> Factories = new(StringComparer.Ordinal)
    {
        ["sequential"] = _ => new SequentialDrafter(),
        ["jacobi"] = _ => new JacobiDrafter(),
        ["lookahead"] = context => new LookaheadDrafter(context.LookaheadWindow, context.LookaheadNgram, context.LookaheadGuesses),
        ["ngram"] = context => new NgramDrafter(context.NgramMinKey, context.NgramMaxKey, context.NgramChain),
        ["suffix"] = _ => new SuffixDrafter(),
        ["draft"] = context => new ModelDrafter(RequireModel(context, "draft")),
        ["pipelined"] = context => new PipelinedDrafter(new ModelDrafter(RequireModel(context, "pipelined"))),
        ["auto"] = context => new MixedDrafter(new SuffixDrafter(1), context.DraftModel is { } model ? new ModelDrafter(model) : null),
    };

    /// <summary>Decoder names, the baseline first. "pipelined:NAME" pipelines any of them.</summary>
    public static IReadOnlyCollection<string> Names => Factories.Keys;

    /// <summary>The decoder that adapts to the link, the text and the drafters there are.</summary>
    public static string Best => "auto";

    /// <summary>True when <paramref name="name"/> is a decoder's, pipelined or not.</summary>
    public static bool Has(string name) => Factories.ContainsKey(Plain(name));

    /// <summary>True when a decoder drafts with a model if there is one.</summary>
    public static bool UsesDraftModel(string name) => Plain(name) is "draft" or "pipelined" or "auto";

    /// <summary>Makes the drafter of a decoder.</summary>
    /// <exception cref="InferenceException">No decoder has this name, or it needs a draft model and there is none.</exception>
    public static IDrafter Create(string name, DrafterContext context)
    {
        if (name.StartsWith(PipelinedPrefix, StringComparison.Ordinal))
        {
            return new PipelinedDrafter(Create(name[PipelinedPrefix.Length..], context));
        }

        return Factories.TryGetValue(name, out Func<DrafterContext, IDrafter>? factory)
            ? factory(context)
            : throw new InferenceException($"there is no decoder '{name}'; the decoders are {string.Join(", ", Names)}");
    }

    private static string Plain(string name) => name.StartsWith(PipelinedPrefix, StringComparison.Ordinal) ? name[PipelinedPrefix.Length..] : name;

    private static DraftModel RequireModel(DrafterContext context, string decoder) => context.DraftModel
        ?? throw new InferenceException($"decoder '{decoder}' needs a draft model: give one with --draft FILE, or use 'auto', which does without");
}
