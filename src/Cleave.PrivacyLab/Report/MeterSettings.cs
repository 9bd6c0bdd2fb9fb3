using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Report;

/// <summary>What is measured, and how long it may take.</summary>
public sealed record MeterSettings
{
    /// <summary>The user's model.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The user's cut.</summary>
    public Cut Cut { get; init; } = Cut.Default;

    /// <summary>Activations on the wire.</summary>
    public WireType Wire { get; init; } = WireType.F32;

    /// <summary>The published model that the user's was tuned from, when head and tail are private; null when all is public.</summary>
    public string? PublicBasePath { get; init; }

    /// <summary>Embedding noise, or null.</summary>
    public EmbeddingNoiseOptions? Noise { get; init; }

    /// <summary>True when frames have one size at a constant tick, so that sizes tell the network nothing.</summary>
    public bool FixedShape { get; init; }

    /// <summary>Documents attacked.</summary>
    public int Documents { get; init; } = 32;

    /// <summary>Tokens of each.</summary>
    public int PromptTokens { get; init; } = 96;

    /// <summary>Tokens generated after each.</summary>
    public int OutputTokens { get; init; } = 16;

    /// <summary>Most pairs a learned attack may use.</summary>
    public int MaxPairs { get; init; } = 24_576;

    /// <summary>Seed.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Told what is being done.</summary>
    public Action<string> Say { get; init; } = static _ => { };

    /// <summary>The clock of the report.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
