namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>The variable "loop" inside a for loop.</summary>
internal sealed class LoopState(IReadOnlyList<object?> items, int depth, Budget budget)
{
    private object? _lastChanged;

    public int Index { get; set; }

    public Function? Recurse { get; set; }

    public object? Get(string name) => name switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "revindex" => (long)items.Count - Index,
        "revindex0" => items.Count - Index - 1L,
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => (long)items.Count,
        "depth" => depth + 1L,
        "depth0" => (long)depth,
        "previtem" => Index > 0 ? items[Index - 1] : new Undefined("loop.previtem"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("loop.nextitem"),
        "cycle" => new Function("cycle", arguments => arguments.TakeRest(0) is { Count: > 0 } values
            ? values[Index % values.Count]
            : throw new ChatTemplateException("loop.cycle needs values")),
        "changed" => new Function("changed", Changed),
        _ => new Undefined($"loop.{name}"),
    };

    private object Changed(Arguments arguments)
    {
        var values = new List<object?>(arguments.TakeRest(0));
        bool changed = _lastChanged is null || !Values.AreEqual(_lastChanged, values, budget);
        _lastChanged = values;
        return changed;
    }
}
