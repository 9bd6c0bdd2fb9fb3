namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Jinja's filters of lists and mappings.</summary>
internal static class ListFilters
{
    public static readonly IReadOnlyDictionary<string, Func<object?, Arguments, Budget, object?>> All =
        new Dictionary<string, Func<object?, Arguments, Budget, object?>>(StringComparer.Ordinal)
        {
            ["length"] = Length,
            ["count"] = Length,
            ["first"] = (value, _, budget) => Values.Iterate(value, budget) is { Count: > 0 } items ? items[0] : new Undefined("first"),
            ["last"] = (value, _, budget) => Values.Iterate(value, budget) is { Count: > 0 } items ? items[^1] : new Undefined("last"),
            ["list"] = (value, _, budget) => new List<object?>(Values.Iterate(value, budget)),
            ["join"] = Join,
            ["reverse"] = (value, _, budget) => value is TemplateText
                ? Members.Slice(value, null, null, -1, budget)
                : Values.Iterate(value, budget).Reverse().ToList(),
            ["sort"] = (value, arguments, budget) => Sort(
                Values.Iterate(value, budget), Values.Truth(arguments.Optional(0, "reverse", false)),
                Values.Truth(arguments.Optional(1, "case_sensitive", false)), arguments.Optional(2, "attribute"), budget),
            ["dictsort"] = DictSort,
            ["unique"] = Unique,
            ["min"] = (value, arguments, budget) => Extreme(value, arguments, budget, sign: 1),
            ["max"] = (value, arguments, budget) => Extreme(value, arguments, budget, sign: -1),
            ["sum"] = (value, arguments, budget) => Sum(value, arguments, budget),
            ["map"] = Map,
            ["select"] = (value, arguments, budget) => Select(value, arguments, budget, byAttribute: false, keep: true),
            ["reject"] = (value, arguments, budget) => Select(value, arguments, budget, byAttribute: false, keep: false),
            ["selectattr"] = (value, arguments, budget) => Select(value, arguments, budget, byAttribute: true, keep: true),
            ["rejectattr"] = (value, arguments, budget) => Select(value, arguments, budget, byAttribute: true, keep: false),
            ["groupby"] = GroupBy,
            ["batch"] = Batch,
            ["slice"] = Slice,
        };

    private static object Length(object? value, Arguments arguments, Budget budget) => value switch
    {
        OrderedDictionary<object, object?> map => (long)map.Count,
        List<object?> list => (long)list.Count,
        TemplateText text when !text.Text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') => (long)text.Length,
        TemplateText or Undefined => (long)Values.Iterate(value, budget).Count,
        _ => throw new ChatTemplateException($"{Values.TypeName(value)} has no length"),
    };

    // "a.b.0": members and elements, one after another.
    private static object? Attribute(object? value, object? path, Budget budget)
    {
        if (path is long)
        {
            return Members.Index(value, path, budget);
        }

        foreach (string part in Values.ToText(path).Text.Split('.'))
        {
            value = long.TryParse(part, out long index)
                ? Members.Index(value, index, budget)
                : Members.Index(value, new TemplateText(part), budget);
        }

        return value;
    }

    private static TemplateText Join(object? value, Arguments arguments, Budget budget)
    {
        TemplateText separator = PythonText.Str(arguments.Optional(0, "d", TemplateText.Empty), budget);
        IReadOnlyList<object?> items = Values.Iterate(value, budget);
        return arguments.Optional(1, "attribute") is { } attribute
            ? TextMethods.Join([.. items.Select(item => Attribute(item, attribute, budget))], separator, budget, convert: true)
            : TextMethods.Join(items, separator, budget, convert: true);
    }

    private static object? Key(object? item, object? attribute, bool caseSensitive, Budget budget)
    {
        object? key = attribute is null ? item : Attribute(item, attribute, budget);
        return !caseSensitive && key is TemplateText text ? new TemplateText(text.Text.ToLowerInvariant()) : key;
    }

    private static List<object?> Sort(IReadOnlyList<object?> items, bool reverse, bool caseSensitive, object? attribute, Budget budget)
    {
        budget.Spend(items.Count * 20L, int.MaxValue);
        var order = Comparer<object?>.Create((a, b) => (reverse ? -1 : 1) * Values.Compare(a, b, budget));
        try
        {
            // OrderBy is stable, as Python's sort.
            return [.. items.OrderBy(item => Key(item, attribute, caseSensitive, budget), order)];
        }
        catch (InvalidOperationException e) when (e.InnerException is ChatTemplateException inner)
        {
            throw new ChatTemplateException(inner.Message);
        }
    }

    private static List<object?> DictSort(object? value, Arguments arguments, Budget budget)
    {
        bool caseSensitive = Values.Truth(arguments.Optional(0, "case_sensitive", false));
        bool byValue = arguments.Optional(1, "by") is TemplateText { Text: "value" };
        bool reverse = Values.Truth(arguments.Optional(2, "reverse", false));
        return value is OrderedDictionary<object, object?> map
            ? Sort([.. map.Select(pair => new Tuple { pair.Key, pair.Value })], reverse, caseSensitive, byValue ? 1L : 0L, budget)
            : throw new ChatTemplateException($"{Values.TypeName(value)} is no mapping");
    }

    private static List<object?> Unique(object? value, Arguments arguments, Budget budget)
    {
        bool caseSensitive = Values.Truth(arguments.Optional(0, "case_sensitive", false));
        object? attribute = arguments.Optional(1, "attribute");
        var seen = new List<object?>();
        var unique = new List<object?>();
        foreach (object? item in Values.Iterate(value, budget))
        {
            object? key = Key(item, attribute, caseSensitive, budget);
            budget.Spend(seen.Count, int.MaxValue);
            if (!seen.Exists(other => Values.AreEqual(other, key, budget)))
            {
                seen.Add(key);
                unique.Add(item);
            }
        }

        return unique;
    }

    private static object? Extreme(object? value, Arguments arguments, Budget budget, int sign)
    {
        bool caseSensitive = Values.Truth(arguments.Optional(0, "case_sensitive", false));
        object? attribute = arguments.Optional(1, "attribute");
        object? best = new Undefined("empty");
        object? bestKey = null;
        foreach (object? item in Values.Iterate(value, budget))
        {
            object? key = Key(item, attribute, caseSensitive, budget);
            if (best is Undefined || sign * Values.Compare(key, bestKey, budget) < 0)
            {
                (best, bestKey) = (item, key);
            }
        }

        return best;
    }

    private static object? Sum(object? value, Arguments arguments, Budget budget)
    {
        object? attribute = arguments.Optional(0, "attribute");
        object? sum = arguments.Optional(1, "start", 0L);
        foreach (object? item in Values.Iterate(value, budget))
        {
            sum = Operators.Apply("+", sum, attribute is null ? item : Attribute(item, attribute, budget), budget);
        }

        return sum;
    }

    private static List<object?> Map(object? value, Arguments arguments, Budget budget)
    {
        IReadOnlyList<object?> items = Values.Iterate(value, budget);
        budget.SpendElements(items.Count);
        if (arguments.TryNamed("attribute", out object? attribute))
        {
            bool hasDefault = arguments.TryNamed("default", out object? fallback);
            return [.. items.Select(item => Attribute(item, attribute, budget) is var found && found is Undefined && hasDefault ? fallback : found)];
        }

        string filter = Values.ToText(arguments.Required(0, "filter")).Text;
        IReadOnlyList<object?> rest = arguments.TakeRest(1);
        var named = new Dictionary<string, object?>(arguments.TakeNamed());
        return [.. items.Select(item => Filters.Apply(filter, item, new Arguments($"filter '{filter}'", rest, named), budget))];
    }

    private static List<object?> Select(object? value, Arguments arguments, Budget budget, bool byAttribute, bool keep)
    {
        object? attribute = byAttribute ? arguments.Required(0, "attribute") : null;
        int first = byAttribute ? 1 : 0;
        string? test = arguments.Try(first, "test", out object? name) ? Values.ToText(name).Text : null;
        IReadOnlyList<object?> rest = arguments.TakeRest(first + 1);
        return [.. Values.Iterate(value, budget).Where(item =>
        {
            budget.Step();
            object? subject = byAttribute ? Attribute(item, attribute, budget) : item;
            bool holds = test is null ? Values.Truth(subject) : Tests.Apply(test, subject, new Arguments($"test '{test}'", rest, []), budget);
            return holds == keep;
        })];
    }

    private static List<object?> GroupBy(object? value, Arguments arguments, Budget budget)
    {
        object? attribute = arguments.Required(0, "attribute");
        var groups = new List<object?>();
        foreach (object? item in Sort(Values.Iterate(value, budget), reverse: false, caseSensitive: true, attribute, budget))
        {
            object? key = Attribute(item, attribute, budget);
            if (groups.Count == 0 || !Values.AreEqual(((List<object?>)groups[^1]!)[0], key, budget))
            {
                groups.Add(new Tuple { key, new List<object?>() });
            }

            ((List<object?>)((List<object?>)groups[^1]!)[1]!).Add(item);
        }

        return groups;
    }

    private static List<object?> Batch(object? value, Arguments arguments, Budget budget)
    {
        long size = Values.ToLong(arguments.Required(0, "linecount"));
        object? fill = arguments.Optional(1, "fill_with");
        if (size is < 1 or > Budget.MaxElements)
        {
            throw new ChatTemplateException($"batch cannot make batches of {size}");
        }

        List<object?> batches = [.. Values.Iterate(value, budget).Chunk((int)size).Select(batch => (object?)batch.ToList())];
        if (fill is not null && batches.Count > 0)
        {
            var last = (List<object?>)batches[^1]!;
            budget.SpendElements(size - last.Count);
            last.AddRange(Enumerable.Repeat(fill, (int)size - last.Count));
        }

        return batches;
    }

    private static List<object?> Slice(object? value, Arguments arguments, Budget budget)
    {
        long slices = Values.ToLong(arguments.Required(0, "slices"));
        object? fill = arguments.Optional(1, "fill_with");
        IReadOnlyList<object?> items = Values.Iterate(value, budget);
        if (slices < 1)
        {
            throw new ChatTemplateException($"slice cannot make {slices} slices");
        }

        budget.SpendElements(slices);
        var result = new List<object?>();
        int offset = 0;
        for (int i = 0; i < slices; i++)
        {
            int count = (int)((items.Count / slices) + (i < items.Count % slices ? 1 : 0));
            List<object?> slice = [.. items.Skip(offset).Take(count)];
            if (fill is not null && items.Count % slices != 0 && i >= items.Count % slices)
            {
                slice.Add(fill);
            }

            result.Add(slice);
            offset += count;
        }

        return result;
    }
}
