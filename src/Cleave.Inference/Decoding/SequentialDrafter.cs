namespace Cleave.Inference.Decoding;

/// <summary>Guesses nothing: one row a step, the baseline.</summary>
public sealed class SequentialDrafter : IDrafter
{
    /// <inheritdoc />
    public string Name => "sequential";

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
