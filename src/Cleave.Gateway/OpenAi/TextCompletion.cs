using System.Text.Json.Serialization;

namespace Cleave.Gateway.OpenAi;

/// <summary>An answer to /v1/completions, whole or one event of it.</summary>
internal sealed record TextCompletion
{
    public required string Id { get; init; }

    public required string Object { get; init; }

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<TextChoice> Choices { get; init; }

    public Usage? Usage { get; init; }

    public string? SystemFingerprint { get; init; }

    /// <summary>Extension, only when asked for.</summary>
    public SplitReport? Cleave { get; init; }
}

/// <summary>One of n answers, or a piece of it.</summary>
internal sealed record TextChoice
{
    public required string Text { get; init; }

    public required int Index { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public TextLogprobs? Logprobs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

/// <summary>Log probabilities of a piece, one entry per token in each list.</summary>
internal sealed record TextLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<double> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, double>> TopLogprobs, IReadOnlyList<int> TextOffset);
