namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Global functions: Jinja's own, and those Hugging Face gives its templates.</summary>
internal static class Functions
{
    private const int MaxRange = 100_000;

    public static void Define(Scope globals, Budget budget, TimeProvider clock)
    {
        Add("raise_exception", arguments => throw new ChatTemplateException(PythonText.Str(arguments.Required(0, "message"), budget).Text)
        {
            RaisedByTemplate = true,
        });
        Add("strftime_now", arguments => new TemplateText(PythonText.Strftime(clock.GetLocalNow(), Values.ToText(arguments.Required(0, "format")).Text)));
        Add("range", arguments => Range(arguments, budget));
        Add("namespace", arguments =>
        {
            var space = new Namespace();
            foreach ((string name, object? value) in Dictionary(arguments).Select(pair => (((TemplateText)pair.Key).Text, pair.Value)))
            {
                space[name] = value;
            }

            return space;
        });
        Add("dict", arguments => Dictionary(arguments));
        Add("joiner", arguments =>
        {
            TemplateText separator = Values.ToText(arguments.Optional(0, "sep", new TemplateText(", ")));
            bool used = false;
            return new Function("joiner", _ =>
            {
                TemplateText text = used ? separator : TemplateText.Empty;
                used = true;
                return text;
            });
        });

        void Add(string name, Func<Arguments, object?> call) => globals.Set(name, new Function(name, call));
    }

    private static OrderedDictionary<object, object?> Dictionary(Arguments arguments)
    {
        var map = arguments.Optional(0, "mapping") is OrderedDictionary<object, object?> given
            ? new OrderedDictionary<object, object?>(given)
            : [];
        foreach ((string name, object? value) in arguments.TakeNamed())
        {
            map[new TemplateText(name)] = value;
        }

        return map;
    }

    private static List<object?> Range(Arguments arguments, Budget budget)
    {
        long first = Values.ToLong(arguments.Required(0, "start"));
        bool two = arguments.Try(1, "stop", out object? second);
        long start = two ? first : 0;
        long stop = two ? Values.ToLong(second) : first;
        long step = Values.ToLong(arguments.Optional(2, "step", 1L));
        if (step == 0)
        {
            throw new ChatTemplateException("range has a step of 0");
        }

        Int128 count = step > 0 ? ((Int128)stop - start + step - 1) / step : ((Int128)start - stop - step - 1) / -step;
        if (count > MaxRange)
        {
            throw new ChatTemplateException($"range has {count} numbers; at most {MaxRange} are accepted");
        }

        budget.SpendElements((long)Int128.Max(0, count));
        var numbers = new List<object?>();
        for (long i = 0; i < count; i++)
        {
            numbers.Add(start + (i * step));
        }

        return numbers;
    }
}
