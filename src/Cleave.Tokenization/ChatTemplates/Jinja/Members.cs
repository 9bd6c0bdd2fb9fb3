namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Attributes, elements and slices.</summary>
internal static class Members
{
    /// <summary>"value.name": a method or attribute, else the element of that key.</summary>
    public static object? Get(object? of, string name, Budget budget)
    {
        switch (of)
        {
            case TemplateText text:
                return (object?)TextMethods.Find(text, name, budget) ?? new Undefined(name);
            case OrderedDictionary<object, object?> map:
                return MapMethod(map, name, budget) ?? (map.TryGetValue(new TemplateText(name), out object? value) ? value : new Undefined(name));
            case List<object?> list:
                return (object?)ListMethod(list, name, budget) ?? new Undefined(name);
            case Namespace space:
                return space.TryGetValue(name, out object? held) ? held : new Undefined(name);
            case LoopState loop:
                return loop.Get(name);
            case Undefined undefined:
                throw new ChatTemplateException($"'{undefined.Name}' is undefined, so it has no '{name}'");
            default:
                return new Undefined(name);
        }
    }

    /// <summary>"value[index]".</summary>
    public static object? Index(object? of, object? index, Budget budget)
    {
        switch (of)
        {
            case List<object?> list when index is long or bool:
                long at = Values.ToLong(index);
                at = at < 0 ? at + list.Count : at;
                return at >= 0 && at < list.Count ? list[(int)at] : new Undefined($"element {Values.ToLong(index)}");
            case TemplateText text when index is long or bool:
                IReadOnlyList<object?> characters = Values.Iterate(text, budget);
                return Index(new List<object?>(characters), index, budget);
            case OrderedDictionary<object, object?> map when index is TemplateText or long or bool or double:
                return map.TryGetValue(Values.ToKey(index), out object? value) ? value
                    : index is TemplateText key && MapMethod(map, key.Text, budget) is { } method ? method
                    : new Undefined(PythonText.Str(index, budget).Text);
            case Undefined undefined:
                throw new ChatTemplateException($"'{undefined.Name}' is undefined, so it has no elements");
            default:
                return index is TemplateText name ? Get(of, name.Text, budget) : new Undefined(Values.TypeName(index));
        }
    }

    /// <summary>"value[start:stop:step]" with Python's meaning of negative and absent bounds.</summary>
    public static object Slice(object? of, long? start, long? stop, long step, Budget budget)
    {
        if (step == 0)
        {
            throw new ChatTemplateException("a slice has a step of 0");
        }

        if (of is TemplateText text)
        {
            if (step == 1 && !text.Text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            {
                (long from, long to) = Bounds(text.Length, start, stop, 1);
                return text.Slice((int)from, (int)Math.Max(0, to - from));
            }

            var result = new TemplateText.Builder(budget);
            foreach (object? character in Pick(Values.Iterate(text, budget), start, stop, step, budget))
            {
                result.Append((TemplateText)character!);
            }

            return result.Build();
        }

        return of is List<object?> or Undefined
            ? Pick(Values.Iterate(of, budget), start, stop, step, budget)
            : throw new ChatTemplateException($"{Values.TypeName(of)} cannot be sliced");
    }

    private static List<object?> Pick(IReadOnlyList<object?> items, long? start, long? stop, long step, Budget budget)
    {
        (long from, long to) = Bounds(items.Count, start, stop, step);
        var picked = new List<object?>();
        budget.SpendElements(items.Count);
        for (long i = from; step > 0 ? i < to : i > to; i += Math.Clamp(step, -items.Count - 1, items.Count + 1))
        {
            picked.Add(items[(int)i]);
        }

        return picked;
    }

    private static (long From, long To) Bounds(int length, long? start, long? stop, long step)
    {
        long low = step > 0 ? 0 : -1;
        long high = step > 0 ? length : length - 1;
        return (Place(start, step > 0 ? low : high), Place(stop, step > 0 ? high : low));

        long Place(long? bound, long fallback) =>
            bound is null ? fallback : Math.Clamp(bound < 0 ? bound.Value + length : bound.Value, low, high);
    }

    private static Function? MapMethod(OrderedDictionary<object, object?> map, string name, Budget budget) => name switch
    {
        "items" => new Function(name, _ =>
        {
            budget.SpendElements(map.Count);
            return map.Select(pair => (object?)new Tuple { pair.Key, pair.Value }).ToList();
        }),
        "keys" => new Function(name, _ => new List<object?>(map.Keys)),
        "values" => new Function(name, _ => new List<object?>(map.Values)),
        "get" => new Function(name, arguments =>
        {
            object? fallback = arguments.Optional(1, "default");
            return map.TryGetValue(Values.ToKey(arguments.Required(0, "key")), out object? value) ? value : fallback;
        }),
        "copy" => new Function(name, _ => new OrderedDictionary<object, object?>(map)),
        _ => null,
    };

    private static Function? ListMethod(List<object?> list, string name, Budget budget) => name switch
    {
        "index" => new Function(name, arguments =>
        {
            object? item = arguments.Required(0, "value");
            int at = list.FindIndex(element => Values.AreEqual(element, item, budget));
            return at >= 0 ? (long)at : throw new ChatTemplateException("a list lacks the element whose index is asked for");
        }),
        "count" => new Function(name, arguments =>
        {
            object? item = arguments.Required(0, "value");
            return (long)list.Count(element => Values.AreEqual(element, item, budget));
        }),
        "copy" => new Function(name, _ => new List<object?>(list)),
        _ => null,
    };
}
