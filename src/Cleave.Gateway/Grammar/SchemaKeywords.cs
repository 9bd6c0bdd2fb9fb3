using System.Text.Encodings.Web;
using System.Text.Json;

namespace Cleave.Gateway.Grammar;

/// <summary>Reads what a schema's keywords say, and refuses those that would have to be ignored.</summary>
internal static class SchemaKeywords
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Describe, and forbid nothing.
    private static readonly HashSet<string> Annotations = new(StringComparer.Ordinal)
    {
        "title", "description", "default", "examples", "$schema", "$id", "$comment", "$anchor", "deprecated", "readOnly", "writeOnly", "$defs", "definitions",
    };

    /// <summary>Refuses every keyword that is neither named nor an annotation.</summary>
    public static void Allow(JsonElement schema, string path, params ReadOnlySpan<string> keywords)
    {
        foreach (JsonProperty property in schema.EnumerateObject())
        {
            if (!Annotations.Contains(property.Name) && !keywords.Contains(property.Name))
            {
                throw new GrammarException($"{path}: the keyword '{property.Name}' is not supported here; {(keywords.IsEmpty ? "give a type" : "supported: " + string.Join(", ", keywords.ToArray()))}");
            }
        }
    }

    /// <summary>A lower and an upper bound; 0 and none where nothing is said.</summary>
    public static (int Min, int? Max) Bounds(JsonElement schema, string minName, string maxName, int limit, string path)
    {
        int min = Bound(minName) ?? 0;
        int? max = Bound(maxName);
        return max < min ? throw new GrammarException($"{path}: {minName} {min} is above {maxName} {max}") : (min, max);

        int? Bound(string name) =>
            !schema.TryGetProperty(name, out JsonElement value) ? null
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= 0 && number <= limit ? number
            : throw new GrammarException($"{path}/{name}: a whole number from 0 to {limit} is expected");
    }

    /// <summary>A string, or a complaint.</summary>
    public static string Text(JsonElement value, string path) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new GrammarException($"{path}: a string is expected");

    /// <summary>A value as JSON text.</summary>
    public static string Spell(JsonElement value) => JsonSerializer.Serialize(value, Plain);

    /// <inheritdoc cref="Spell(JsonElement)"/>
    public static string Spell(string value) => JsonSerializer.Serialize(value, Plain);
}
