using System.Text.Json;

namespace Cleave.Gateway.OpenAi;

/// <summary>
/// Reads a request object field by field. Every field is read once; those nobody read are unknown, and refused by name
/// (<see cref="RejectUnknown"/>). JSON null counts as absent, as with OpenAI.
/// </summary>
internal sealed class RequestReader
{
    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal);
    private readonly string _prefix;

    /// <param name="element">The object.</param>
    /// <param name="path">Its place in the request, "" at the top.</param>
    public RequestReader(JsonElement element, string path = "")
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw ApiException.Invalid(path, path.Length == 0 ? "the request body must be a JSON object" : $"'{path}' must be an object");
        }

        _prefix = path.Length == 0 ? "" : path + ".";
        foreach (JsonProperty property in element.EnumerateObject())
        {
            _fields[property.Name] = property.Value;
            _unread.Add(property.Name);
        }
    }

    /// <summary>A field, or null when absent.</summary>
    public JsonElement? Any(string name)
    {
        _unread.Remove(name);
        return _fields.TryGetValue(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    /// <summary>A field's full name, for messages.</summary>
    public string Path(string name) => _prefix + name;

    /// <summary>A string.</summary>
    public string? String(string name) => Any(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw ApiException.Invalid(Path(name), $"'{Path(name)}' must be a string");

    /// <summary>A boolean.</summary>
    public bool? Boolean(string name) => Any(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw ApiException.Invalid(Path(name), $"'{Path(name)}' must be true or false");

    /// <summary>A number in a range.</summary>
    public double? Number(string name, double min, double max) => Any(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= min && number <= max ? number
        : throw ApiException.Invalid(Path(name), FormattableString.Invariant($"'{Path(name)}' must be a number from {min} to {max}"));

    /// <summary>A whole number in a range.</summary>
    public int? Integer(string name, int min, int max) => Any(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min && number <= max ? number
        : throw ApiException.Invalid(
            Path(name), max == int.MaxValue ? $"'{Path(name)}' must be a whole number of at least {min}" : $"'{Path(name)}' must be a whole number from {min} to {max}");

    /// <summary>A 64-bit whole number.</summary>
    public long? Long(string name) => Any(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number
        : throw ApiException.Invalid(Path(name), $"'{Path(name)}' must be a whole number of 64 bits");

    /// <summary>An object.</summary>
    public RequestReader? Object(string name) => Any(name) is { } value ? new RequestReader(value, Path(name)) : null;

    /// <summary>An array, empty when absent.</summary>
    public IReadOnlyList<JsonElement> Array(string name) => Any(name) is not { } value ? []
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()]
        : throw ApiException.Invalid(Path(name), $"'{Path(name)}' must be an array");

    /// <summary>Fields that may be given and change nothing here.</summary>
    public void Ignore(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            _unread.Remove(name);
        }
    }

    /// <summary>Refuses a field of OpenAI's that asks for what is not there.</summary>
    public void Refuse(string name, string why)
    {
        if (Any(name) is { } value && !(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0))
        {
            throw ApiException.Unsupported(Path(name), $"'{Path(name)}' is not supported: {why}");
        }
    }

    /// <summary>Refuses what nobody read.</summary>
    public void RejectUnknown()
    {
        foreach (string name in _unread)
        {
            throw new ApiException(400, $"Unrecognized request argument supplied: {Path(name)}", Path(name), "unknown_parameter");
        }
    }
}
