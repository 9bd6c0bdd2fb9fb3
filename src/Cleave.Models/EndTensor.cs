namespace Cleave.Models;

/// <summary>Tensors outside the decoder layers: the trusted side's alone.</summary>
public enum EndTensor
{
    /// <summary>[vocabulary, hidden].</summary>
    Embedding,

    /// <summary>[hidden].</summary>
    FinalNorm,

    /// <summary>[vocabulary, hidden]; the embedding when tied.</summary>
    LmHead,
}
