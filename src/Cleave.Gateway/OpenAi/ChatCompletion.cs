using System.Text.Json.Serialization;

namespace Cleave.Gateway.OpenAi;

/// <summary>An answer to /v1/chat/completions, whole ("chat.completion") or one event of it ("chat.completion.chunk").</summary>
internal sealed record ChatCompletion
{
    public required string Id { get; init; }

    public required string Object { get; init; }

    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<ChatChoice> Choices { get; init; }

    public Usage? Usage { get; init; }

    public string? SystemFingerprint { get; init; }

    /// <summary>Extension, only when asked for.</summary>
    public SplitReport? Cleave { get; init; }
}

/// <summary>One of n answers, or a piece of it.</summary>
internal sealed record ChatChoice
{
    public required int Index { get; init; }

    public AssistantMessage? Message { get; init; }

    public AssistantDelta? Delta { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ChatLogprobs? Logprobs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

/// <summary>A whole message.</summary>
internal sealed record AssistantMessage(
    string Role, string Content, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Refusal = null);

/// <summary>A piece of one.</summary>
internal sealed record AssistantDelta(string? Role = null, string? Content = null);

/// <summary>Log probabilities of a piece.</summary>
internal sealed record ChatLogprobs(
    IReadOnlyList<TokenLogprob> Content, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] IReadOnlyList<TokenLogprob>? Refusal = null);

/// <summary>A token, the natural logarithm of its probability, its bytes, and the most likely tokens in its place.</summary>
internal sealed record TokenLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<TokenLogprob>? TopLogprobs);
