namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Jinja's tests ("x is defined").</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Func<object?, Arguments, Budget, bool>> All = new(StringComparer.Ordinal)
    {
        ["defined"] = (value, _, _) => value is not Undefined,
        ["undefined"] = (value, _, _) => value is Undefined,
        ["none"] = (value, _, _) => value is null,
        ["boolean"] = (value, _, _) => value is bool,
        ["true"] = (value, _, _) => value is true,
        ["false"] = (value, _, _) => value is false,
        ["integer"] = (value, _, _) => value is long,
        ["float"] = (value, _, _) => value is double,
        ["number"] = (value, _, _) => Values.IsNumber(value),
        ["string"] = (value, _, _) => value is TemplateText,
        ["mapping"] = (value, _, _) => value is OrderedDictionary<object, object?>,
        ["sequence"] = (value, _, _) => value is List<object?> or TemplateText or OrderedDictionary<object, object?>,
        ["iterable"] = (value, _, _) => value is List<object?> or TemplateText or OrderedDictionary<object, object?> or Undefined,
        ["callable"] = (value, _, _) => value is Function,
        ["odd"] = (value, _, _) => Values.ToLong(value) % 2 != 0,
        ["even"] = (value, _, _) => Values.ToLong(value) % 2 == 0,
        ["divisibleby"] = (value, arguments, _) => Values.ToLong(arguments.Required(0, "num")) is not 0 and var divisor
            ? Values.ToLong(value) % divisor == 0
            : throw new ChatTemplateException("division by zero"),
        ["lower"] = (value, _, _) => Values.ToText(value).Text is var text && text.Any(char.IsLetter) && !text.Any(char.IsUpper),
        ["upper"] = (value, _, _) => Values.ToText(value).Text is var text && text.Any(char.IsLetter) && !text.Any(char.IsLower),
        ["in"] = (value, arguments, budget) => Operators.Contains(arguments.Required(0, "seq"), value, budget),
        ["sameas"] = (value, arguments, _) => arguments.Required(0, "other") is var other
            && (ReferenceEquals(value, other) || (value is bool or long or null && Equals(value, other))),
        ["escaped"] = (_, _, _) => false,
        ["eq"] = Comparison("=="),
        ["equalto"] = Comparison("=="),
        ["ne"] = Comparison("!="),
        ["lt"] = Comparison("<"),
        ["lessthan"] = Comparison("<"),
        ["le"] = Comparison("<="),
        ["gt"] = Comparison(">"),
        ["greaterthan"] = Comparison(">"),
        ["ge"] = Comparison(">="),
        ["=="] = Comparison("=="),
        ["!="] = Comparison("!="),
        ["<"] = Comparison("<"),
        ["<="] = Comparison("<="),
        [">"] = Comparison(">"),
        [">="] = Comparison(">="),
        ["filter"] = (value, _, _) => Filters.Exists(Values.ToText(value).Text),
        ["test"] = (value, _, _) => Exists(Values.ToText(value).Text),
    };

    public static bool Exists(string name) => All.ContainsKey(name);

    public static bool Apply(string name, object? value, Arguments arguments, Budget budget) =>
        All.TryGetValue(name, out Func<object?, Arguments, Budget, bool>? test)
            ? test(value, arguments, budget)
            : throw new ChatTemplateException($"test '{name}' is not supported");

    private static Func<object?, Arguments, Budget, bool> Comparison(string operation) =>
        (value, arguments, budget) => Operators.Holds(operation, value, arguments.Required(0, "other"), budget);
}
