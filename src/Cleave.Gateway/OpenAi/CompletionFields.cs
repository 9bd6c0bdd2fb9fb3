using System.Text.Json;
using Cleave.Tokenization;

namespace Cleave.Gateway.OpenAi;

/// <summary>A request to /v1/completions.</summary>
internal sealed record CompletionFields
{
    private const int DefaultMaxTokens = 16; // OpenAI's
    private const int MaxPrompts = 32;

    /// <summary>Model asked for.</summary>
    public required string Model { get; init; }

    /// <summary>Prompts, BOS included where the model wants it.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    /// <summary>The text of each prompt, to be repeated before the answers; null when it is not.</summary>
    public required IReadOnlyList<string>? Echoes { get; init; }

    /// <summary>What all completions share.</summary>
    public required SamplingFields Common { get; init; }

    /// <summary>Most tokens of an answer.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Most likely tokens to report; null reports no log probabilities.</summary>
    public required int? TopLogProbabilities { get; init; }

    /// <summary>Reads one.</summary>
    /// <exception cref="ApiException">It is malformed, or asks for what is not supported.</exception>
    public static CompletionFields Read(JsonElement body, Tokenizer tokenizer)
    {
        var request = new RequestReader(body);
        string model = request.String("model") ?? throw new ApiException(400, "you must provide a model parameter", "model", "missing_required_parameter");
        List<int[]> prompts = ReadPrompts(request.Any("prompt"), tokenizer);
        var common = SamplingFields.Read(request, tokenizer);
        int? logprobs = request.Integer("logprobs", 0, 5);
        int maxTokens = request.Integer("max_tokens", 1, int.MaxValue) ?? DefaultMaxTokens;
        bool echo = request.Boolean("echo") ?? false;
        if (echo && logprobs is not null)
        {
            throw ApiException.Unsupported("echo", "'echo' with 'logprobs' is not supported: logits of prompt rows are not computed");
        }

        int bestOf = request.Integer("best_of", 1, SamplingFields.MaxChoices) ?? common.Choices;
        if (bestOf != common.Choices)
        {
            throw ApiException.Unsupported("best_of", "'best_of' is not supported beyond 'n'; ask for n answers and choose");
        }

        request.Refuse("suffix", "the model only continues text");
        request.RejectUnknown();
        return new CompletionFields
        {
            Model = model,
            Prompts = prompts,
            Echoes = echo ? [.. prompts.Select(prompt => tokenizer.Decode(tokenizer.AddBos && prompt is [var first, ..] && first == tokenizer.BosId ? prompt[1..] : prompt))] : null,
            Common = common,
            MaxTokens = maxTokens,
            TopLogProbabilities = logprobs,
        };
    }

    // A string, an array of strings, an array of ids, or an array of arrays of ids.
    private static List<int[]> ReadPrompts(JsonElement? prompt, Tokenizer tokenizer)
    {
        ApiException Wrong() => ApiException.Invalid(
            "prompt", $"'prompt' must be a string, an array of up to {MaxPrompts} strings, an array of token ids below {tokenizer.VocabularySize}, or an array of up to {MaxPrompts} such arrays");
        int[] bos = tokenizer is { AddBos: true, BosId: { } id } ? [id] : [];
        switch (prompt?.ValueKind)
        {
            case null:
                return bos.Length > 0 ? [bos] : throw new ApiException(400, "'prompt' is missing, and the model has no token to begin a text with", "prompt", "missing_required_parameter");
            case JsonValueKind.String:
                return [Encode(prompt.Value)];
            case JsonValueKind.Array when prompt.Value.GetArrayLength() > 0 && prompt.Value[0].ValueKind == JsonValueKind.Number:
                return [Ids(prompt.Value)];
            case JsonValueKind.Array when prompt.Value.GetArrayLength() is > 0 and <= MaxPrompts:
                return [.. prompt.Value.EnumerateArray().Select(item => item.ValueKind switch
                {
                    JsonValueKind.String => Encode(item),
                    JsonValueKind.Array => Ids(item),
                    _ => throw Wrong(),
                })];
            default:
                throw Wrong();
        }

        // Text is data: what spells a control token stays text.
        int[] Encode(JsonElement text) => [.. bos, .. tokenizer.Encode(text.GetString()!, parseSpecial: false)];

        int[] Ids(JsonElement ids) => ids.GetArrayLength() > 0
            ? [.. ids.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int value) && value >= 0 && value < tokenizer.VocabularySize ? value : throw Wrong())]
            : throw Wrong();
    }
}
