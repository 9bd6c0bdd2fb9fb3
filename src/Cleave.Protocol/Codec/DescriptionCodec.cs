using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cleave.Protocol.Codec;

/// <summary>The answer to Describe, as JSON. What a worker says is checked like any frame: it may be hostile.</summary>
public static class DescriptionCodec
{
    /// <summary>Most bytes of a description.</summary>
    public const int MaxBytes = 1 << 20;

    private const int MaxLayers = 4096;
    private const int MaxHiddenSize = 1 << 20;
    private const int MaxTextLength = 1024;
    private const int MaxNotices = 32;

    private static readonly SearchValues<char> s_hexadecimal = SearchValues.Create("0123456789abcdef");

    /// <summary>UTF-8 JSON of <paramref name="description"/>.</summary>
    public static byte[] Write(WorkerDescription description) =>
        JsonSerializer.SerializeToUtf8Bytes(description, DescriptionJson.Default.WorkerDescription);

    /// <summary>Reads a description; on false <paramref name="error"/> names the field that is missing or out of bounds.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out WorkerDescription? description, out WireError? error)
    {
        description = null;
        string? problem;
        if (json.Length > MaxBytes)
        {
            problem = $"it has {json.Length} bytes, more than {MaxBytes}";
        }
        else
        {
            try
            {
                description = JsonSerializer.Deserialize(json.Span, DescriptionJson.Default.WorkerDescription);
                problem = description is null ? "it is null" : Problem(description);
            }
            catch (JsonException e)
            {
                problem = $"it is no JSON description (path {PrintableText.Clean(Clip(e.Path ?? "$"))}, line {e.LineNumber}, byte {e.BytePositionInLine})";
            }
        }

        if (problem is not null)
        {
            description = null;
            error = new WireError(WireErrorCode.Malformed, $"The worker's description cannot be used: {problem}.", SessionSurvives: false);
            return false;
        }

        error = null;
        description = Cleaned(description!);
        return true;
    }

    private static string Clip(string text) => text.Length <= MaxTextLength ? text : text[..MaxTextLength];

    // A hostile worker can put nulls wherever the JSON has them, whatever the annotations say.
    private static string? Problem(WorkerDescription d)
    {
        if (d.MinVersion == 0 || d.MinVersion > d.MaxVersion)
        {
            return $"its protocol versions are {d.MinVersion} to {d.MaxVersion}";
        }

        if (d.LayerStart < 0 || d.LayerEnd < d.LayerStart || d.LayerEnd > MaxLayers)
        {
            return $"its layers are {d.LayerStart}..{d.LayerEnd}";
        }

        if (d.HiddenSize is < 1 or > MaxHiddenSize)
        {
            return $"its hidden size is {d.HiddenSize}";
        }

        if (d.LayerHashes is null || d.LayerHashes.Count != d.LayerEnd - d.LayerStart)
        {
            return $"it has {d.LayerHashes?.Count ?? 0} layer hashes for {d.LayerEnd - d.LayerStart} layers";
        }

        for (int i = 0; i < d.LayerHashes.Count; i++)
        {
            if (d.LayerHashes[i] is not { Length: 64 } hash || hash.AsSpan().ContainsAnyExcept(s_hexadecimal))
            {
                return $"the hash of layer {d.LayerStart + i} is not 64 lower-case hexadecimal digits";
            }
        }

        if (d.WireTypes is null || d.WireTypes.Count is 0 or > 16)
        {
            return $"it names {d.WireTypes?.Count ?? 0} wire types";
        }

        if (d.ModelName is null || d.Architecture is null || d.KernelFingerprint is null || d.Limits is null || d.Load is null || d.Notices is null)
        {
            return "a field is null";
        }

        if (d.ModelName.Length > MaxTextLength || d.Architecture.Length > MaxTextLength || d.KernelFingerprint.Length > MaxTextLength
            || d.Notices.Count > MaxNotices || d.Notices.Any(n => n is null || n.Length > MaxTextLength))
        {
            return $"a text is longer than {MaxTextLength} characters, or there are more than {MaxNotices} notices";
        }

        WorkerLimits l = d.Limits;
        return l.MaxRowsPerStep < 1 || l.MaxFrameBytes < 1 || l.MaxFramesInFlight < 1 || l.MaxKvTokensPerSession < 1
            || l.MaxKvTokensPerTenant < 1 || l.MaxSessionsPerTenant < 1 || l.MaxRowsPerSecond < 1 || l.IdleSeconds < 1
            ? "a limit is below 1"
            : null;
    }

    private static WorkerDescription Cleaned(WorkerDescription d) => d with
    {
        ModelName = PrintableText.Clean(d.ModelName),
        Architecture = PrintableText.Clean(d.Architecture),
        KernelFingerprint = PrintableText.Clean(d.KernelFingerprint),
        Notices = [.. d.Notices.Select(PrintableText.Clean)],

        // A newer worker may speak wire types this build does not know.
        WireTypes = [.. d.WireTypes.Where(t => t <= WireType.Q8)],
    };
}

/// <summary>Source-generated JSON for <see cref="DescriptionCodec"/>. Wire types are numbers; unknown fields are skipped, so a newer worker can say more.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, MaxDepth = 8, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(WorkerDescription))]
internal sealed partial class DescriptionJson : JsonSerializerContext;
