namespace Cleave.Models;

/// <summary>Roles of a decoder layer's tensors. Matrices are [outputs, inputs].</summary>
public enum LayerTensor
{
    AttentionNorm,
    Query,
    Key,
    Value,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    AttentionOutput,
    AttentionOutputBias,
    AttentionPostNorm,
    FeedForwardNorm,
    FeedForwardPostNorm,
    Gate,
    Up,
    Down,
    Router,
    GateBias,
    UpBias,
    DownBias,
}
