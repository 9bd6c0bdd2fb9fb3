using System.Globalization;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Jinja's filters of values; those of lists are in <see cref="ListFilters"/>.</summary>
internal static class Filters
{
    private static readonly Dictionary<string, Func<object?, Arguments, Budget, object?>> All = new(ListFilters.All, StringComparer.Ordinal)
    {
        ["default"] = Default,
        ["d"] = Default,
        ["string"] = (value, _, budget) => PythonText.Str(value, budget),
        ["tojson"] = ToJson,
        ["int"] = ToInteger,
        ["float"] = ToFloat,
        ["abs"] = (value, _, _) => value is double d ? Math.Abs(d) : (object)Math.Abs(Math.Max(Values.ToLong(value), -long.MaxValue)),
        ["round"] = Round,
        ["trim"] = (value, arguments, budget) => arguments.Optional(0, "chars") is TemplateText chars
            ? PythonText.Str(value, budget).Trim(c => chars.Text.Contains(c, StringComparison.Ordinal))
            : PythonText.Str(value, budget).Trim(PythonText.IsSpace),
        ["upper"] = (value, _, budget) => PythonText.Str(value, budget) is var text ? text.Recased(TextMethods.Upper(text.Text)) : null,
        ["lower"] = (value, _, budget) => PythonText.Str(value, budget) is var text ? text.Recased(text.Text.ToLowerInvariant()) : null,
        ["capitalize"] = (value, _, budget) => TextMethods.Capitalize(PythonText.Str(value, budget)),
        ["title"] = (value, _, budget) => Title(PythonText.Str(value, budget)),
        ["replace"] = (value, arguments, budget) => TextMethods.Replace(
            PythonText.Str(value, budget), PythonText.Str(arguments.Required(0, "old"), budget), PythonText.Str(arguments.Required(1, "new"), budget),
            arguments.Optional(2, "count") is { } count ? Values.ToLong(count) : -1, budget),
        ["indent"] = Indent,
        ["center"] = (value, arguments, budget) => TextMethods.Pad(
            PythonText.Str(value, budget), Values.ToLong(arguments.Optional(0, "width", 80L)), new TemplateText(" "), left: true, right: true, budget),
        ["truncate"] = Truncate,
        ["wordcount"] = (value, _, budget) => (long)PythonText.Str(value, budget).Text
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length,
        ["format"] = (value, arguments, budget) => Operators.Format(Values.ToText(value), arguments.TakeRest(0), budget),
        ["safe"] = (value, _, _) => value,
        ["e"] = Escape,
        ["escape"] = Escape,
        ["forceescape"] = Escape,
        ["urlencode"] = (value, _, budget) => PythonText.Str(value, budget) is var text
            ? TemplateText.Derived(Uri.EscapeDataString(text.Text), text.HasData)
            : null,
        ["items"] = (value, _, budget) => value is Undefined
            ? new List<object?>()
            : value is OrderedDictionary<object, object?>
                ? ((Function)Members.Get(value, "items", budget)!).Call(new Arguments("items", [], []))
                : throw new ChatTemplateException($"{Values.TypeName(value)} has no items"),
    };

    public static bool Exists(string name) => All.ContainsKey(name);

    public static object? Apply(string name, object? value, Arguments arguments, Budget budget) =>
        All.TryGetValue(name, out Func<object?, Arguments, Budget, object?>? filter)
            ? filter(value, arguments, budget)
            : throw new ChatTemplateException($"filter '{name}' is not supported");

    private static object? Default(object? value, Arguments arguments, Budget budget)
    {
        object? fallback = arguments.Optional(0, "default_value", TemplateText.Empty);
        bool alsoFalse = Values.Truth(arguments.Optional(1, "boolean", false));
        return value is Undefined || (alsoFalse && !Values.Truth(value)) ? fallback : value;
    }

    private static TemplateText ToJson(object? value, Arguments arguments, Budget budget)
    {
        // Hugging Face's signature: ensure_ascii, indent, separators, sort_keys; a lone positional argument is Jinja's indent.
        object? indent = arguments.TryNamed("indent", out object? named) ? named : arguments.Optional(0, "ensure_ascii") is long spaces ? spaces : null;
        arguments.TryNamed("ensure_ascii", out _);
        bool sort = arguments.TryNamed("sort_keys", out object? sorted) && Values.Truth(sorted);
        string item = indent is null ? ", " : ",";
        string key = ": ";
        if (arguments.TryNamed("separators", out object? separators) && separators is List<object?> { Count: 2 } pair)
        {
            (item, key) = (Values.ToText(pair[0]).Text, Values.ToText(pair[1]).Text);
        }

        int? width = indent is null ? null : (int)Math.Clamp(Values.ToLong(indent), 0, 64);
        return PythonText.Json(value, width, sort, item, key, budget);
    }

    private static object ToInteger(object? value, Arguments arguments, Budget budget)
    {
        object fallback = arguments.Optional(0, "default", 0L) ?? 0L;
        arguments.Optional(1, "base");
        return value switch
        {
            bool or long => Values.ToLong(value),
            double d when Math.Abs(d) < long.MaxValue => (long)d,
            TemplateText text when long.TryParse(text.Text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) => number,
            TemplateText text when double.TryParse(text.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                && Math.Abs(number) < long.MaxValue => (long)number,
            _ => fallback,
        };
    }

    private static object ToFloat(object? value, Arguments arguments, Budget budget)
    {
        object fallback = arguments.Optional(0, "default", 0.0) ?? 0.0;
        return value switch
        {
            bool or long or double => Values.ToDouble(value),
            TemplateText text when double.TryParse(text.Text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) => number,
            _ => fallback,
        };
    }

    private static object Round(object? value, Arguments arguments, Budget budget)
    {
        int digits = (int)Math.Clamp(Values.ToLong(arguments.Optional(0, "precision", 0L)), 0, 15);
        string method = arguments.Optional(1, "method") is TemplateText text ? text.Text : "common";
        if (value is long && method == "common")
        {
            return value;
        }

        double number = Values.ToDouble(value);
        double scale = Math.Pow(10, digits);
        return method switch
        {
            "common" => Math.Round(number, digits, MidpointRounding.ToEven),
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw new ChatTemplateException($"round has no method '{method}'"),
        };
    }

    private static TemplateText Title(TemplateText text)
    {
        char[] chars = text.Text.ToCharArray();
        bool inWord = false;
        for (int i = 0; i < chars.Length; i++)
        {
            bool separates = PythonText.IsSpace(chars[i]) || chars[i] is '-' or '(' or '{' or '[' or '<';
            chars[i] = inWord ? char.ToLowerInvariant(chars[i]) : char.ToUpperInvariant(chars[i]);
            inWord = !separates;
        }

        return text.Recased(new string(chars));
    }

    private static TemplateText Indent(object? value, Arguments arguments, Budget budget)
    {
        object? width = arguments.Optional(0, "width", 4L);
        bool first = Values.Truth(arguments.Optional(1, "first", false));
        bool blank = Values.Truth(arguments.Optional(2, "blank", false));
        TemplateText indentation = width as TemplateText ?? new TemplateText(new string(' ', (int)Math.Clamp(Values.ToLong(width), 0, 1000)));
        TemplateText text = PythonText.Str(value, budget);
        var result = new TemplateText.Builder(budget);
        List<object?> lines = TextMethods.SplitLines(text, keepEnds: false, budget);
        for (int i = 0; i < lines.Count; i++)
        {
            var line = (TemplateText)lines[i]!;
            if (i > 0)
            {
                result.Append("\n");
            }

            if (i == 0 ? first : blank || line.Length > 0)
            {
                result.Append(indentation);
            }

            result.Append(line);
        }

        return text.Text.EndsWith('\n') ? result.Append("\n").Build() : result.Build();
    }

    private static TemplateText Truncate(object? value, Arguments arguments, Budget budget)
    {
        TemplateText text = PythonText.Str(value, budget);
        long length = Values.ToLong(arguments.Optional(0, "length", 255L));
        bool killWords = Values.Truth(arguments.Optional(1, "killwords", false));
        TemplateText end = Values.ToText(arguments.Optional(2, "end", new TemplateText("...")));
        long leeway = arguments.Optional(3, "leeway") is { } given ? Values.ToLong(given) : 5;
        if (text.Length <= length + leeway)
        {
            return text;
        }

        TemplateText cut = text.Slice(0, (int)Math.Max(0, length - end.Length));
        int space = cut.Text.LastIndexOf(' ');
        return new TemplateText.Builder(budget).Append(killWords || space < 0 ? cut : cut.Slice(0, space)).Append(end).Build();
    }

    private static TemplateText Escape(object? value, Arguments arguments, Budget budget)
    {
        TemplateText text = PythonText.Str(value, budget);
        foreach ((string from, string to) in (ReadOnlySpan<(string, string)>)
            [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")])
        {
            text = TextMethods.Replace(text, new TemplateText(from), new TemplateText(to), -1, budget);
        }

        return text;
    }
}
