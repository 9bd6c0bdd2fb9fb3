using System.Text.Json;
using System.Text.Unicode;

namespace Cleave.Models.HuggingFace;

/// <summary>Reads small JSON files.</summary>
internal static class JsonFile
{
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    /// <summary>The root object of a file.</summary>
    /// <exception cref="ModelFormatException">No such file, larger than <paramref name="maxBytes"/>, or no JSON object.</exception>
    public static JsonElement Read(string path, int maxBytes)
    {
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists)
            {
                throw new ModelFormatException($"{path}: no such file");
            }

            if (file.Length > maxBytes)
            {
                throw new ModelFormatException($"{path}: {file.Length} bytes; at most {maxBytes} are accepted");
            }

            return Parse(path, File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The root object of JSON bytes.</summary>
    public static JsonElement Parse(string path, ReadOnlyMemory<byte> json)
    {
        // The parser leaves strings unchecked until they are read.
        if (!System.Text.Unicode.Utf8.IsValid(json.Span))
        {
            throw new ModelFormatException($"{path}: is not valid JSON: its bytes are no UTF-8 text");
        }

        try
        {
            CheckStrings(json.Span);
            JsonElement root = JsonDocument.Parse(json, Options).RootElement;
            return root.ValueKind == JsonValueKind.Object
                ? root
                : throw new ModelFormatException($"{path}: holds {root.ValueKind}, not a JSON object");
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{path}: is not valid JSON: {e.Message}", e);
        }
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
