using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>
/// Guesses continuations. Guesses decide speed, never text: a wrong one costs a row. A drafter sees tokens, all of it on the
/// trusted side. Probabilities it gives are its own estimates; the decoder calibrates them.
/// </summary>
public interface IDrafter : IDisposable
{
    /// <summary>"ngram", "suffix", "draft", ...</summary>
    string Name { get; }

    /// <summary>Tells how tokens will be chosen, before <see cref="Begin"/>: a drafter may share the noise.</summary>
    void UseSampling(SamplingOptions sampling)
    {
    }

    /// <summary>Starts a generation. tokens: everything certain, the tree's root last. A prefix seen before may be reused.</summary>
    void Begin(ReadOnlySpan<int> tokens, DraftTree tree);

    /// <summary>
    /// Adds children to each of <paramref name="nodes"/> whose path probability reaches <paramref name="threshold"/> (through
    /// <see cref="DraftTree.Add"/>). May go deeper than one level where that is free.
    /// </summary>
    void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold);

    /// <summary>
    /// Tells which nodes became certain: path[0] is the root, each next its child, the last the new root. Called before the tree
    /// is rerooted.
    /// </summary>
    void Advance(DraftTree tree, ReadOnlySpan<int> path);

    /// <summary>
    /// Shows what the model says after those rows of the step that are <see cref="DraftNode.Observed"/>; called before the verdict. Rows are
    /// tree indices; <paramref name="choose"/> gives the likeliest token after one.
    /// </summary>
    void Observe(DraftTree tree, ReadOnlySpan<int> rows, Func<int, int> choose)
    {
    }

    /// <summary>True when rows may be sent while others are on their way (<see cref="PipelinedDrafter"/>).</summary>
    bool Pipelines => false;

    /// <summary>True when <see cref="Expand"/> takes time worth weighing (a model runs), false when it is a lookup.</summary>
    bool IsCostly => false;

    /// <summary>True when it marks nodes for <see cref="Observe"/>; steps are then sent one at a time.</summary>
    bool ObservesRows => false;
}
