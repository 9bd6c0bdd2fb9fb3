using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Inference;

/// <summary>One request for text.</summary>
public sealed record GenerationOptions
{
    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Bounds.</summary>
    public DecodingOptions Decoding { get; init; } = new();

    /// <summary>Restricts tokens, or null.</summary>
    public ITokenMask? Mask { get; init; }

    /// <summary>Sees logits, or null.</summary>
    public ITokenObserver? Observer { get; init; }

    /// <summary>Prompt tokens answered so far, or null.</summary>
    public IProgress<int>? PrefillProgress { get; init; }
}
