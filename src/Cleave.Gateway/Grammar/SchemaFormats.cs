using System.Diagnostics.CodeAnalysis;

namespace Cleave.Gateway.Grammar;

/// <summary>Formats of strings as patterns, each narrower than its standard: what is written is always valid.</summary>
internal static class SchemaFormats
{
    private static readonly Dictionary<string, string> Patterns = new(StringComparer.Ordinal)
    {
        ["date"] = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$",
        ["time"] = "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$",
        ["date-time"] = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$",
        ["duration"] = "^P([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,4}D)?T[0-9]{1,5}S$",
        ["email"] = "^[A-Za-z0-9_+-]{1,24}(\\.[A-Za-z0-9_+-]{1,24}){0,2}@[A-Za-z0-9]{1,24}(-[A-Za-z0-9]{1,24}){0,2}(\\.[A-Za-z]{2,12}){1,3}$",
        ["hostname"] = "^[A-Za-z0-9]{1,24}(-[A-Za-z0-9]{1,24}){0,2}(\\.[A-Za-z0-9]{1,24}(-[A-Za-z0-9]{1,24}){0,2}){0,4}$",
        ["ipv4"] = "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$",
        ["uuid"] = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ["uri"] = "^[a-z][a-z0-9+.-]{1,15}:[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{1,200}$",
    };

    /// <summary>Names of all formats.</summary>
    public static IEnumerable<string> Names => Patterns.Keys;

    /// <summary>The pattern of a format.</summary>
    public static bool TryGetPattern(string format, [NotNullWhen(true)] out string? pattern) => Patterns.TryGetValue(format, out pattern);
}
