namespace Cleave.Inference.Decoding;

/// <summary>Bounds of one generation.</summary>
public sealed record DecodingOptions
{
    /// <summary>Most tokens generated.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Most rows in a step.</summary>
    public int MaxRowsPerStep { get; init; } = 64;

    /// <summary>Most rows that may be on their way at once.</summary>
    public int MaxRowsInFlight { get; init; } = 256;

    /// <summary>Rows per prompt chunk.</summary>
    public int PrefillChunkRows { get; init; } = 128;

    /// <summary>True to stop at the model's end-of-turn tokens.</summary>
    public bool StopAtEndOfTurn { get; init; } = true;

    /// <summary>A fixed path-probability threshold in place of the node rule; null follows the rule.</summary>
    public double? Threshold { get; init; }

    /// <summary>Fewest rows a pipelined frame aims at, and half of the most: fewer answer sooner, more cost less each.</summary>
    public int FrameRows { get; init; } = 8;

    /// <summary>
    /// Share of a row's cost that one sent ahead is charged: it uses time in which the link and the worker would have idled, and
    /// delays others only now and then.
    /// </summary>
    public double AheadCost { get; init; } = 0.3;
}
