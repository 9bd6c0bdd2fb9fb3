using Cleave.Models;

namespace Cleave.Inference;

/// <summary>Where a model is cut: the first <see cref="Head"/> and last <see cref="Tail"/> layers stay on the trusted side.</summary>
/// <param name="Head">Layers before the first cut.</param>
/// <param name="Tail">Layers after the second.</param>
public readonly record struct Cut(int Head, int Tail)
{
    /// <summary>Two and two, the paper's cut.</summary>
    public static Cut Default => new(2, 2);

    /// <summary>Layers [0, Head).</summary>
    public LayerRange HeadRange => new(0, Head);

    /// <summary>The worker's layers of a model of <paramref name="layers"/>.</summary>
    public LayerRange MiddleRange(int layers) => new(Head, layers - Tail);

    /// <summary>The last <see cref="Tail"/> of <paramref name="layers"/>.</summary>
    public LayerRange TailRange(int layers) => new(layers - Tail, layers);

    /// <summary>Null, or one sentence on why a model of <paramref name="layers"/> cannot be cut so.</summary>
    public string? Validate(int layers) =>
        Head < 1 ? $"the head has {Head} layers; it needs at least 1, or embeddings would cross the network"
        : Tail < 1 ? $"the tail has {Tail} layers; it needs at least 1, or the worker would compute the final hidden states itself"
        : Head + Tail >= layers ? $"head {Head} and tail {Tail} leave nothing of {layers} layers for the worker; make them at most {layers - 1} together"
        : null;
}
