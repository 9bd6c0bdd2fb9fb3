using System.Collections;
using System.Text.Json;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>A name or member that does not exist. Prints as nothing, iterates as nothing, is false; anything else is an error.</summary>
internal sealed record Undefined(string Name);

/// <summary>What namespace() makes: the one thing a template can assign to from inside a loop.</summary>
internal sealed class Namespace : Dictionary<string, object?>;

/// <summary>A list that prints in round brackets and equals no other list.</summary>
internal sealed class Tuple : List<object?>;

/// <summary>Something a template can call.</summary>
internal sealed record Function(string Name, Func<Arguments, object?> Call);

/// <summary>
/// Values as templates see them, with Python's meaning: null (None), bool, long, double, <see cref="TemplateText"/>,
/// List (lists and tuples), OrderedDictionary, <see cref="Undefined"/>, <see cref="Namespace"/>, <see cref="Function"/>.
/// </summary>
internal static class Values
{
    private const int MaxNesting = 64;

    /// <summary>A value of the caller's; all its text is data.</summary>
    public static object? FromHost(object? value, int depth = 0)
    {
        if (depth > MaxNesting)
        {
            throw new ChatTemplateException($"a chat variable is nested more than {MaxNesting} deep");
        }

        return value switch
        {
            null => null,
            bool or long or double => value,
            int number => (long)number,
            float number => (double)number,
            string text => TemplateText.OfData(text),
            JsonElement json => FromJson(json, depth),
            IEnumerable<KeyValuePair<string, object?>> pairs => ToDictionary(pairs.Select(pair => (pair.Key, FromHost(pair.Value, depth + 1)))),
            IEnumerable items => items.Cast<object?>().Select(item => FromHost(item, depth + 1)).ToList(),
            _ => throw new ChatTemplateException($"a chat variable of type {value.GetType().Name} has no meaning in a template"),
        };
    }

    public static bool Truth(object? value) => value switch
    {
        null or Undefined => false,
        bool b => b,
        long n => n != 0,
        double d => d != 0,
        TemplateText text => text.Length > 0,
        List<object?> list => list.Count > 0,
        OrderedDictionary<object, object?> map => map.Count > 0,
        _ => true,
    };

    public static bool IsNumber(object? value) => value is bool or long or double;

    public static double ToDouble(object? value) => value switch
    {
        bool b => b ? 1 : 0,
        long n => n,
        double d => d,
        _ => throw new ChatTemplateException($"{TypeName(value)} is used where a number is needed"),
    };

    public static long ToLong(object? value) => value switch
    {
        bool b => b ? 1 : 0,
        long n => n,
        _ => throw new ChatTemplateException($"{TypeName(value)} is used where an integer is needed"),
    };

    public static TemplateText ToText(object? value) =>
        value as TemplateText ?? throw new ChatTemplateException($"{TypeName(value)} is used where a string is needed");

    public static bool AreEqual(object? a, object? b, Budget budget)
    {
        // Lists that hold one another twice over are exponentially large to walk, so every comparison counts.
        budget.Step();
        return (a, b) switch
        {
            (null, null) => true,
            (long x, long y) => x == y,
            (TemplateText x, TemplateText y) => x.Text == y.Text,
            (Undefined, Undefined) => true,
            (List<object?> x, List<object?> y) => x.Count == y.Count && x is Tuple == y is Tuple && x.Zip(y).All(pair => AreEqual(pair.First, pair.Second, budget)),
            (OrderedDictionary<object, object?> x, OrderedDictionary<object, object?> y) =>
                x.Count == y.Count && x.All(pair => y.TryGetValue(pair.Key, out object? other) && AreEqual(pair.Value, other, budget)),
            _ when IsNumber(a) && IsNumber(b) => ToDouble(a) == ToDouble(b),
            _ => ReferenceEquals(a, b),
        };
    }

    public static int Compare(object? a, object? b, Budget budget) => (a, b) switch
    {
        (long x, long y) => x.CompareTo(y),
        (TemplateText x, TemplateText y) => string.CompareOrdinal(x.Text, y.Text),
        (List<object?> x, List<object?> y) => CompareLists(x, y, budget),
        _ when IsNumber(a) && IsNumber(b) => ToDouble(a).CompareTo(ToDouble(b)),
        _ => throw new ChatTemplateException($"{TypeName(a)} and {TypeName(b)} have no order"),
    };

    /// <summary>The elements a for loop sees.</summary>
    public static IReadOnlyList<object?> Iterate(object? value, Budget budget)
    {
        switch (value)
        {
            case List<object?> list:
                return list;
            case OrderedDictionary<object, object?> map:
                budget.SpendElements(map.Count);
                return [.. map.Keys];
            case Undefined:
                return [];
            case TemplateText text:
                budget.SpendElements(text.Length);
                return Characters(text);
            default:
                throw new ChatTemplateException($"{TypeName(value)} cannot be iterated over");
        }
    }

    public static string TypeName(object? value) => value switch
    {
        null => "none",
        Undefined undefined => $"undefined '{undefined.Name}'",
        bool => "a truth value",
        long => "an integer",
        double => "a float",
        TemplateText => "a string",
        List<object?> => "a list",
        OrderedDictionary<object, object?> => "a mapping",
        Namespace => "a namespace",
        Function function => $"function '{function.Name}'",
        _ => value.GetType().Name,
    };

    /// <summary>A dictionary key; only what Python could hash.</summary>
    public static object ToKey(object? value) => value switch
    {
        TemplateText or long => value,
        bool b => b ? 1L : 0L,
        double d => d == Math.Floor(d) && Math.Abs(d) < 1e15 ? (long)d : d,
        _ => throw new ChatTemplateException($"{TypeName(value)} cannot be a key"),
    };

    public static OrderedDictionary<object, object?> ToDictionary(IEnumerable<(string Key, object? Value)> pairs)
    {
        var map = new OrderedDictionary<object, object?>();
        foreach ((string key, object? value) in pairs)
        {
            map[TemplateText.OfData(key)] = value;
        }

        return map;
    }

    private static object? FromJson(JsonElement json, int depth) => json.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => null,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String => TemplateText.OfData(json.GetString()!),
        JsonValueKind.Number => json.TryGetInt64(out long integer) ? integer : (object)json.GetDouble(),
        JsonValueKind.Array => json.EnumerateArray().Select(item => FromHost(item, depth + 1)).ToList(),
        _ => ToDictionary(json.EnumerateObject().Select(property => (property.Name, FromHost(property.Value, depth + 1)))),
    };

    private static int CompareLists(List<object?> x, List<object?> y, Budget budget)
    {
        for (int i = 0; i < Math.Min(x.Count, y.Count); i++)
        {
            int order = AreEqual(x[i], y[i], budget) ? 0 : Compare(x[i], y[i], budget);
            if (order != 0)
            {
                return order;
            }
        }

        return x.Count.CompareTo(y.Count);
    }

    private static List<object?> Characters(TemplateText text)
    {
        var characters = new List<object?>(text.Length);
        for (int i = 0; i < text.Length;)
        {
            int length = char.IsHighSurrogate(text.Text[i]) && i + 1 < text.Length ? 2 : 1;
            characters.Add(text.Slice(i, length));
            i += length;
        }

        return characters;
    }
}
