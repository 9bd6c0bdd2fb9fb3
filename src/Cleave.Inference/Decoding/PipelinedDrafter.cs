using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>Any drafter, with rows sent while others are on their way instead of one step at a time.</summary>
public sealed class PipelinedDrafter(IDrafter inner) : IDrafter
{
    /// <inheritdoc />
    public string Name => inner.Name == "draft" ? "pipelined" : $"pipelined:{inner.Name}";

    /// <inheritdoc />
    public bool Pipelines => !inner.ObservesRows; // what the next step asks follows from what this one shows

    /// <inheritdoc />
    public bool IsCostly => inner.IsCostly;

    /// <inheritdoc />
    public bool ObservesRows => inner.ObservesRows;

    /// <inheritdoc />
    public void UseSampling(SamplingOptions sampling) => inner.UseSampling(sampling);

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree) => inner.Begin(tokens, tree);

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold) => inner.Expand(tree, nodes, threshold);

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path) => inner.Advance(tree, path);

    /// <inheritdoc />
    public void Observe(DraftTree tree, ReadOnlySpan<int> rows, Func<int, int> choose) => inner.Observe(tree, rows, choose);

    /// <inheritdoc />
    public void Dispose() => inner.Dispose();
}
