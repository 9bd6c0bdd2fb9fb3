namespace Cleave.Models;

/// <summary>How queries and keys are normed before rotation.</summary>
public enum QueryKeyNorm
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Each head by itself, one weight of headDim (Qwen 3, Gemma 3).</summary>
    PerHead,

    /// <summary>All heads together (OLMo 2).</summary>
    AllHeads,
}
