using Cleave.Compute;
using Cleave.Engine;

namespace Cleave.Inference.Sessions;

/// <summary>Rows of one session for the tail.</summary>
internal sealed class TailJob : PassJob
{
    /// <summary>The session's cache of the tail.</summary>
    public required KvCache Cache { get; init; }

    /// <summary>Rows to append.</summary>
    public required ReadOnlyMemory<TreeRow> Rows { get; init; }

    /// <summary>[rows, hiddenSize]: what came back from the middle.</summary>
    public required ReadOnlyMemory<float> Hidden { get; init; }

    /// <summary>Rows whose logits are wanted, ascending.</summary>
    public required ReadOnlyMemory<int> Wanted { get; init; }

    /// <summary>Asks for the logits in short; null asks for whole rows.</summary>
    public TopRows? Asked { get; init; }

    /// <summary>[wanted, vocabulary]: receives whole rows; in short, [wanted, hiddenSize]: receives the normed hidden states they were made from.</summary>
    public Memory<float> Result { get; init; }

    /// <summary>The answer in short, perhaps of other sessions as well.</summary>
    public TopRows? Tops { get; set; }

    /// <summary>This job's first row in <see cref="Tops"/>.</summary>
    public int FirstTop { get; set; }

    /// <inheritdoc />
    public override int RowCount => Rows.Length;
}
