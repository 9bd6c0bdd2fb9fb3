using System.Text.Json;
using System.Text.Unicode;

namespace Cleave.Tokenization.HuggingFace;

/// <summary>Reads the tokenizer of a Hugging Face checkpoint directory.</summary>
public static class TokenizerFiles
{
    // The largest tokenizer.json files (a quarter of a million tokens) have some 40 MB.
    private const int MaxBytes = 256 << 20;
    private const int MaxConfigBytes = 16 << 20;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 32 };

    /// <summary>
    /// The tokenizer of a directory: tokenizer.json, else tokenizer.model; special ids and the chat template from
    /// tokenizer_config.json, generation_config.json and chat_template.jinja.
    /// </summary>
    /// <exception cref="TokenizerFormatException">The directory has none, or one that is malformed or not supported.</exception>
    public static TokenizerDefinition Read(string directory)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        string json = Path.Combine(directory, "tokenizer.json");
        string model = Path.Combine(directory, "tokenizer.model");
        TokenizerDefinition definition = File.Exists(json) ? ReadFile(json)
            : File.Exists(model) ? ReadFile(model)
            : throw new TokenizerFormatException($"{directory}: has neither tokenizer.json nor tokenizer.model");
        return WithConfig(directory, definition);
    }

    /// <summary>The tokenizer of one file: a tokenizer.json, or else a tokenizer.model.</summary>
    /// <exception cref="TokenizerFormatException">No such file, malformed or not supported.</exception>
    public static TokenizerDefinition ReadFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return path.EndsWith(".json", StringComparison.Ordinal)
            ? TokenizerJson.Read(path, ReadJson(path, MaxBytes))
            : SentencePieceModel.Read(path, ReadBytes(path, MaxBytes));
    }

    internal static JsonElement ReadJson(string path, int maxBytes) => ParseJson(path, ReadBytes(path, maxBytes));

    internal static JsonElement ParseJson(string path, byte[] json)
    {
        try
        {
            CheckStrings(json);
            JsonElement root = JsonDocument.Parse(json, Options).RootElement;
            return root.ValueKind == JsonValueKind.Object ? root : throw new TokenizerFormatException($"{path}: is no JSON object");
        }
        catch (JsonException e)
        {
            throw new TokenizerFormatException($"{path}: is not valid JSON: {e.Message}", e);
        }
    }

    private static byte[] ReadBytes(string path, int maxBytes)
    {
        try
        {
            long length = new FileInfo(path).Length;
            return length <= maxBytes
                ? File.ReadAllBytes(path)
                : throw new TokenizerFormatException($"{path}: {length} bytes; at most {maxBytes} are accepted");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TokenizerFormatException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static TokenizerDefinition WithConfig(string directory, TokenizerDefinition definition)
    {
        string path = Path.Combine(directory, "tokenizer_config.json");
        JsonElement? config = File.Exists(path) ? ReadJson(path, MaxConfigBytes) : null;
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int id = 0; id < definition.Tokens.Count; id++)
        {
            ids.TryAdd(definition.Tokens[id], id);
        }

        // A token's id by the name of its field; the field holds its text, or an object with it.
        int? Id(string field) => config is { } root && root.TryGetProperty(field, out JsonElement value)
            && (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out JsonElement content) ? content : value) is { ValueKind: JsonValueKind.String } text
            && ids.TryGetValue(text.GetString()!, out int id) ? id : null;

        bool? Flag(string field) => config is { } root && root.TryGetProperty(field, out JsonElement value)
            && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;

        return definition with
        {
            BosId = Id("bos_token") ?? definition.BosId,
            EosId = Id("eos_token") ?? definition.EosId,
            EndOfTurnId = LastEnd(directory, definition.Tokens.Count) ?? definition.EndOfTurnId,
            AddBos = definition.AddBos ?? Flag("add_bos_token"),
            ChatTemplate = Template(directory, config),
        };
    }

    private static string? Template(string directory, JsonElement? config)
    {
        string path = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(path))
        {
            return System.Text.Encoding.UTF8.GetString(ReadBytes(path, 1 << 20));
        }

        if (config is not { } root || !root.TryGetProperty("chat_template", out JsonElement template))
        {
            return null;
        }

        // Several templates have names; the one without purpose of its own is "default".
        return template.ValueKind switch
        {
            JsonValueKind.String => template.GetString(),
            JsonValueKind.Array => template.EnumerateArray()
                .Where(entry => entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("name", out JsonElement name) && name.ToString() == "default"
                    && entry.TryGetProperty("template", out _))
                .Select(entry => entry.GetProperty("template").ToString())
                .FirstOrDefault(),
            _ => null,
        };
    }

    // generation_config.json may list several ends; tokenizer_config.json names one of them.
    private static int? LastEnd(string directory, int tokens)
    {
        string path = Path.Combine(directory, "generation_config.json");
        if (!File.Exists(path) || !ReadJson(path, MaxConfigBytes).TryGetProperty("eos_token_id", out JsonElement end))
        {
            return null;
        }

        JsonElement last = end.ValueKind == JsonValueKind.Array && end.GetArrayLength() > 0 ? end[end.GetArrayLength() - 1] : end;
        return last.ValueKind == JsonValueKind.Number && last.TryGetInt32(out int id) && id >= 0 && id < tokens ? id : null;
    }

    // The parser lets through strings that are no text (bytes that are no UTF-8, half a surrogate pair) and throws when they are
    // read; here they are refused at once.
    private static void CheckStrings(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new JsonException("it holds bytes that are no UTF-8");
        }

        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Options.MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                try
                {
                    _ = reader.GetString();
                }
                catch (InvalidOperationException e)
                {
                    throw new JsonException(e.Message, e);
                }
            }
        }
    }
}
