namespace Cleave.Inference.Decoding;

/// <summary>Bounds of one generation.</summary>
public sealed record DecodingOptions
{
    /// <summary>Most tokens generated.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Most rows in a step.</summary>
    public int MaxRowsPerStep { get; init; } = 64;

    /// <summary>Rows per prompt chunk.</summary>
    public int PrefillChunkRows { get; init; } = 128;

    /// <summary>True to stop at the model's end-of-turn tokens.</summary>
    public bool StopAtEndOfTurn { get; init; } = true;

    /// <summary>A fixed path-probability threshold in place of the node rule; null follows the rule.</summary>
    public double? Threshold { get; init; }
}
