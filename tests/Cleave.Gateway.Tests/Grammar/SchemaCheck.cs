using System.Text.Json;
using System.Text.RegularExpressions;

namespace Cleave.Gateway.Tests.Grammar;

/// <summary>Says whether a value satisfies a schema: written from the specification, apart from the grammar it judges.</summary>
internal static class SchemaCheck
{
    public static bool Satisfies(JsonElement value, JsonElement schema, JsonElement root)
    {
        if (schema.ValueKind == JsonValueKind.True)
        {
            return true;
        }

        if (schema.TryGetProperty("$ref", out JsonElement reference))
        {
            JsonElement target = root;
            foreach (string part in reference.GetString()!.Split('/').Skip(1))
            {
                target = target.GetProperty(part);
            }

            return Satisfies(value, target, root);
        }

        return (!schema.TryGetProperty("const", out JsonElement constant) || JsonElement.DeepEquals(value, constant))
            && (!schema.TryGetProperty("enum", out JsonElement values) || values.EnumerateArray().Any(one => JsonElement.DeepEquals(value, one)))
            && (!schema.TryGetProperty("anyOf", out JsonElement any) || any.EnumerateArray().Any(one => Satisfies(value, one, root)))
            && (!schema.TryGetProperty("allOf", out JsonElement all) || all.EnumerateArray().All(one => Satisfies(value, one, root)))
            && (!schema.TryGetProperty("type", out JsonElement type)
                || (type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Any(one => IsType(value, one.GetString()!)) : IsType(value, type.GetString()!)))
            && Contents(value, schema, root);
    }

    private static bool IsType(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        _ => false,
    };

    private static bool Contents(JsonElement value, JsonElement schema, JsonElement root)
    {
        int Bound(string name, int otherwise) => schema.TryGetProperty(name, out JsonElement bound) ? bound.GetInt32() : otherwise;
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                bool declared = schema.TryGetProperty("properties", out JsonElement properties);
                schema.TryGetProperty("additionalProperties", out JsonElement additional);
                string[] names = [.. value.EnumerateObject().Select(property => property.Name)];
                return (!schema.TryGetProperty("required", out JsonElement required) || required.EnumerateArray().All(name => names.Contains(name.GetString()!)))
                    && names.Length >= Bound("minProperties", 0) && names.Length <= Bound("maxProperties", int.MaxValue)
                    && value.EnumerateObject().All(property =>
                        declared && properties.TryGetProperty(property.Name, out JsonElement inner) ? Satisfies(property.Value, inner, root)
                        : additional.ValueKind != JsonValueKind.False && (additional.ValueKind != JsonValueKind.Object || Satisfies(property.Value, additional, root)));
            case JsonValueKind.Array:
                return value.GetArrayLength() >= Bound("minItems", 0) && value.GetArrayLength() <= Bound("maxItems", int.MaxValue)
                    && (!schema.TryGetProperty("items", out JsonElement items) || value.EnumerateArray().All(item => Satisfies(item, items, root)));
            case JsonValueKind.String:
                string text = value.GetString()!;
                int length = text.EnumerateRunes().Count();
                return length >= Bound("minLength", 0) && length <= Bound("maxLength", int.MaxValue)
                    && (!schema.TryGetProperty("pattern", out JsonElement pattern) || Regex.IsMatch(OneUnitEach(text), pattern.GetString()!, RegexOptions.ECMAScript))
                    && (!schema.TryGetProperty("format", out JsonElement format) || IsFormat(text, format.GetString()!));
            case JsonValueKind.Number:
                double number = value.GetDouble();
                return (!schema.TryGetProperty("minimum", out JsonElement min) || number >= min.GetDouble())
                    && (!schema.TryGetProperty("maximum", out JsonElement max) || number <= max.GetDouble())
                    && (!schema.TryGetProperty("exclusiveMinimum", out JsonElement above) || number > above.GetDouble())
                    && (!schema.TryGetProperty("exclusiveMaximum", out JsonElement below) || number < below.GetDouble());
            default:
                return true;
        }
    }

    // Patterns count characters, .NET counts UTF-16 units.
    private static string OneUnitEach(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.IsBmp ? rune.ToString() : "\u00ff"));

    private static bool IsFormat(string text, string format) => format switch
    {
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", out _) || text.StartsWith("0000", StringComparison.Ordinal),
        "date-time" => DateTimeOffset.TryParse(text, out _) || text.StartsWith("0000", StringComparison.Ordinal),
        "uuid" => Guid.TryParseExact(text, "D", out _),
        "ipv4" => System.Net.IPAddress.TryParse(text, out _),
        "email" => System.Net.Mail.MailAddress.TryCreate(text, out _),
        "uri" => text.Contains(':', StringComparison.Ordinal),
        _ => true,
    };
}
