using Cleave.Engine;
using Cleave.Inference.Privacy;

namespace Cleave.Inference.Sessions;

/// <summary>Rows of one session for the head.</summary>
internal sealed class HeadJob : PassJob
{
    /// <summary>The session's cache of the head.</summary>
    public required KvCache Cache { get; init; }

    /// <summary>Rows to append.</summary>
    public required ReadOnlyMemory<TreeRow> Rows { get; init; }

    /// <summary>Their tokens.</summary>
    public required ReadOnlyMemory<int> Tokens { get; init; }

    /// <summary>[rows, hiddenSize]: receives what crosses the cut.</summary>
    public required Memory<float> Hidden { get; init; }

    /// <summary>Noise on the embeddings, or null.</summary>
    public EmbeddingNoise? Noise { get; init; }

    /// <inheritdoc />
    public override int RowCount => Rows.Length;

    // Noise is drawn for the rows of one plan.
    /// <inheritdoc />
    public override bool RunsAlone => Noise is not null;
}
