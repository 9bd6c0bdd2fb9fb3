namespace Cleave.Models.Storage;

/// <summary>How a family's files name the tensors of each role.</summary>
internal sealed record TensorLayout
{
    /// <summary>Roles of a decoder layer. In a mixture, Gate, Up and Down are those of an expert.</summary>
    public required IReadOnlyDictionary<LayerTensor, TensorPart> Layer { get; init; }

    /// <summary>The embedding's name.</summary>
    public required string Embedding { get; init; }

    /// <summary>The final norm's name.</summary>
    public required string FinalNorm { get; init; }

    /// <summary>The LM head's name; absent in the file of a tied model.</summary>
    public required string LmHead { get; init; }

    /// <summary>True for a stored tensor the forward pass has no use for (precomputed rotary tables and the like).</summary>
    public Func<string, bool> Ignores { get; init; } = _ => false;
}
