using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Cleave.Gateway.Generation;
using Cleave.Inference.Sampling;
using Cleave.Tokenization;

namespace Cleave.Gateway.OpenAi;

/// <summary>What chat and plain completions ask for alike.</summary>
internal sealed record SamplingFields
{
    /// <summary>Most answers to one prompt.</summary>
    public const int MaxChoices = 16;

    /// <summary>Most stop sequences, and most characters of one.</summary>
    public const int MaxStops = 16;
    private const int MaxStopLength = 1000;
    private const int MaxBiases = 1024;

    /// <summary>How tokens are chosen; the seed is set in any case.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>Stop sequences.</summary>
    public required IReadOnlyList<string> Stop { get; init; }

    /// <summary>Added to logits, or null.</summary>
    public required IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Answers per prompt.</summary>
    public required int Choices { get; init; }

    /// <summary>True to send the answer as it comes.</summary>
    public required bool Stream { get; init; }

    /// <summary>True to end the stream with usage counts.</summary>
    public required bool IncludeUsage { get; init; }

    /// <summary>True to send what the split does beside the text (an extension; other clients never see it).</summary>
    public required bool IncludeStatistics { get; init; }

    /// <summary>Reads them.</summary>
    public static SamplingFields Read(RequestReader request, Tokenizer tokenizer)
    {
        bool stream = request.Boolean("stream") ?? false;
        RequestReader? streamOptions = request.Object("stream_options");
        if (streamOptions is not null && !stream)
        {
            throw ApiException.Invalid("stream_options", "'stream_options' is only allowed when 'stream' is true");
        }

        bool includeUsage = streamOptions?.Boolean("include_usage") ?? false;
        if (streamOptions?.Boolean("include_obfuscation") == true)
        {
            throw ApiException.Unsupported("stream_options.include_obfuscation", "'stream_options.include_obfuscation' is not supported");
        }

        streamOptions?.RejectUnknown();
        RequestReader? own = request.Object("cleave");
        bool statistics = own?.Boolean("stats") ?? false;
        own?.RejectUnknown();

        // Identify the caller, or steer a service that is not this one.
        request.Ignore("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata");
        if (request.String("service_tier") is { } tier && tier is not ("auto" or "default"))
        {
            throw ApiException.Unsupported("service_tier", $"service tier '{tier}' is not supported; there is one tier");
        }

        return new SamplingFields
        {
            Sampling = new SamplingOptions
            {
                Temperature = request.Number("temperature", 0, 2) ?? 1,
                TopP = Math.Max(request.Number("top_p", 0, 1) ?? 1, 1e-9), // OpenAI allows 0: the most likely token alone
                TopK = request.Integer("top_k", 0, int.MaxValue) ?? 0,
                MinP = request.Number("min_p", 0, 1) ?? 0,
                RepetitionPenalty = request.Number("repetition_penalty", 0.01, 10) ?? 1,
                FrequencyPenalty = request.Number("frequency_penalty", -2, 2) ?? 0,
                PresencePenalty = request.Number("presence_penalty", -2, 2) ?? 0,
                Seed = request.Long("seed") is { } seed ? unchecked((ulong)seed) : RandomSeed(),
            },
            Stop = Stops(request),
            LogitBias = Biases(request, tokenizer),
            Choices = request.Integer("n", 1, MaxChoices) ?? 1,
            Stream = stream,
            IncludeUsage = includeUsage,
            IncludeStatistics = statistics,
        };
    }

    /// <summary>The mask of a request: its grammar, then its biases.</summary>
    public ITokenMask? Mask(ITokenMask? grammar) => LogitBias is null ? grammar : new LogitBiasMask(LogitBias, grammar);

    /// <summary>A seed that survives readers of JSON which keep numbers as doubles.</summary>
    public static ulong RandomSeed() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) >> 11;

    private static List<string> Stops(RequestReader request)
    {
        if (request.Any("stop") is not { } value)
        {
            return [];
        }

        List<string> stops = value.ValueKind switch
        {
            JsonValueKind.String => [value.GetString()!],
            JsonValueKind.Array when value.EnumerateArray().All(static item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(static item => item.GetString()!)],
            _ => throw ApiException.Invalid("stop", "'stop' must be a string or an array of strings"),
        };
        return stops.Count <= MaxStops && stops.All(static stop => stop.Length is > 0 and <= MaxStopLength)
            ? stops
            : throw ApiException.Invalid("stop", $"'stop' takes up to {MaxStops} sequences of 1 to {MaxStopLength} characters");
    }

    private static Dictionary<int, float>? Biases(RequestReader request, Tokenizer tokenizer)
    {
        if (request.Any("logit_bias") is not { } value)
        {
            return null;
        }

        ApiException Wrong() => ApiException.Invalid(
            "logit_bias", $"'logit_bias' maps up to {MaxBiases} token ids, from 0 to {tokenizer.VocabularySize - 1}, to numbers from -100 to 100");
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Wrong();
        }

        var biases = new Dictionary<int, float>();
        foreach (JsonProperty property in value.EnumerateObject())
        {
            if (!int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= tokenizer.VocabularySize || biases.Count >= MaxBiases
                || property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetSingle(out float bias) || !(Math.Abs(bias) <= 100))
            {
                throw Wrong();
            }

            biases[id] = bias;
        }

        return biases.Count == 0 ? null : biases;
    }
}
