using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;

namespace Cleave.Inference;

/// <summary>What one generation took.</summary>
public sealed record GenerationStatistics
{
    /// <summary>Drafter used.</summary>
    public required string Decoder { get; init; }

    /// <summary>Prompt tokens, and how many of them were already committed.</summary>
    public required int PromptTokens { get; init; }

    /// <inheritdoc cref="PromptTokens"/>
    public required int ReusedTokens { get; init; }

    /// <summary>Tokens generated.</summary>
    public required int Tokens { get; init; }

    /// <summary>
    /// Dependent decoding round trips: frames sent because the newest token's row was not on its way. Without pipelining every
    /// frame is one.
    /// </summary>
    public required int RoundTrips { get; init; }

    /// <summary>Decoding frames sent, those sent ahead included.</summary>
    public required int Frames { get; init; }

    /// <summary>Rows in them.</summary>
    public required long RowsSent { get; init; }

    /// <summary>Nodes the drafter was asked about.</summary>
    public required long NodesDrafted { get; init; }

    /// <summary>From the call to the first token.</summary>
    public required double TimeToFirstTokenMs { get; init; }

    /// <summary>From the first token to the last.</summary>
    public required double DecodeMs { get; init; }

    /// <summary>Draft rows sent and draft tokens accepted.</summary>
    public required long Proposed { get; init; }

    /// <inheritdoc cref="Proposed"/>
    public required long Accepted { get; init; }

    /// <summary>Frame bytes sent, prompt included.</summary>
    public required long BytesUp { get; init; }

    /// <summary>Frame bytes received.</summary>
    public required long BytesDown { get; init; }

    /// <summary>Where the time went.</summary>
    public required SessionTimings Timings { get; init; }

    /// <summary>What a step costs, as estimated at the end.</summary>
    public required CostEstimates Costs { get; init; }

    /// <summary>Candidates proposed and accepted by drafter and rank, over the session so far.</summary>
    public required IReadOnlyList<AcceptanceRate> AcceptanceRates { get; init; }

    /// <summary>Every verdict.</summary>
    public required IReadOnlyList<StepRecord> Steps { get; init; }

    /// <summary>Tokens per second from the first to the last; the first round trip's tokens start the clock.</summary>
    public double TokensPerSecond => DecodeMs <= 0 ? 0 : (Tokens - FirstStepTokens) * 1000.0 / DecodeMs;

    /// <summary>Tokens per decoding round trip.</summary>
    public double TokensPerRoundTrip => RoundTrips == 0 ? 0 : (double)Tokens / RoundTrips;

    /// <summary>Rows sent per token.</summary>
    public double RowsPerToken => Tokens == 0 ? 0 : (double)RowsSent / Tokens;

    private int FirstStepTokens => Steps.Count == 0 ? 0 : Math.Min(Tokens, Steps[0].Tokens);
}
