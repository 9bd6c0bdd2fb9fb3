using System.Globalization;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Arithmetic and comparison with Python's meaning.</summary>
internal static class Operators
{
    public static object? Apply(string operation, object? left, object? right, Budget budget)
    {
        try
        {
            return (operation, left, right) switch
            {
                ("~", _, _) => new TemplateText.Builder(budget).Append(PythonText.Str(left, budget)).Append(PythonText.Str(right, budget)).Build(),
                ("+", TemplateText a, TemplateText b) => new TemplateText.Builder(budget).Append(a).Append(b).Build(),
                ("+", List<object?> a, List<object?> b) => Concat(a, b, budget),
                ("*", TemplateText a, _) => Repeat(a, Values.ToLong(right), budget),
                ("*", _, TemplateText b) => Repeat(b, Values.ToLong(left), budget),
                ("*", List<object?> a, _) => Repeat(a, Values.ToLong(right), budget),
                ("%", TemplateText format, _) => Format(format, right is Tuple tuple ? tuple : [right], budget),
                _ when Values.IsNumber(left) && Values.IsNumber(right) => Arithmetic(operation, left!, right!),
                _ => throw new ChatTemplateException($"'{operation}' has no meaning for {Values.TypeName(left)} and {Values.TypeName(right)}"),
            };
        }
        catch (OverflowException)
        {
            throw new ChatTemplateException($"a number is too large for '{operation}'");
        }
    }

    public static bool Holds(string operation, object? left, object? right, Budget budget) => operation switch
    {
        "==" => Values.AreEqual(left, right, budget),
        "!=" => !Values.AreEqual(left, right, budget),
        "in" => Contains(right, left, budget),
        "not in" => !Contains(right, left, budget),
        "<" => Values.Compare(left, right, budget) < 0,
        "<=" => Values.Compare(left, right, budget) <= 0,
        ">" => Values.Compare(left, right, budget) > 0,
        _ => Values.Compare(left, right, budget) >= 0,
    };

    public static bool Contains(object? container, object? item, Budget budget)
    {
        switch (container)
        {
            case TemplateText text:
                budget.Spend(text.Length, int.MaxValue);
                return text.Text.Contains(Values.ToText(item).Text, StringComparison.Ordinal);
            case List<object?> list:
                budget.Spend(list.Count, int.MaxValue);
                return list.Any(element => Values.AreEqual(element, item, budget));
            case OrderedDictionary<object, object?> map:
                return item is TemplateText or long or bool or double && map.ContainsKey(Values.ToKey(item));
            case Undefined:
                return false;
            default:
                throw new ChatTemplateException($"{Values.TypeName(container)} has no elements to look among");
        }
    }

    /// <summary>Python's "%" formatting: %s, %d, %f, %x, %r, %% with flags, width and precision.</summary>
    public static TemplateText Format(TemplateText format, IReadOnlyList<object?> values, Budget budget)
    {
        var result = new TemplateText.Builder(budget);
        string text = format.Text;
        int next = 0;
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '%')
            {
                continue;
            }

            result.Append(format.Slice(plain, i - plain));
            int spec = i + 1;
            while (spec < text.Length && (char.IsAsciiDigit(text[spec]) || text[spec] is '.' or '-' or '+' or ' ' or '0'))
            {
                spec++;
            }

            if (spec == text.Length)
            {
                throw new ChatTemplateException("a format string ends in '%'");
            }

            if (text[spec] == '%')
            {
                result.Append("%");
            }
            else
            {
                object? value = next < values.Count ? values[next++] : throw new ChatTemplateException("a format string needs more values");
                result.Append(FormatOne(text[(i + 1)..spec], text[spec], value, budget));
            }

            i = spec;
            plain = spec + 1;
        }

        return next == values.Count
            ? result.Append(format.Slice(plain, text.Length - plain)).Build()
            : throw new ChatTemplateException("a format string has values left over");
    }

    private static TemplateText FormatOne(string flags, char code, object? value, Budget budget)
    {
        string[] parts = flags.TrimStart('-', '+', ' ', '0').Split('.');
        int width = parts[0].Length == 0 ? 0 : ParseSize(parts[0]);
        int? precision = parts.Length > 1 ? ParseSize(parts[1].Length == 0 ? "0" : parts[1]) : null;
        TemplateText text = code switch
        {
            's' => PythonText.Str(value, budget),
            'r' => PythonText.Str(new List<object?> { value }, budget) is var list ? list.Slice(1, list.Length - 2) : TemplateText.Empty,
            'd' or 'i' => new TemplateText(value is double d ? ((long)d).ToString(CultureInfo.InvariantCulture) : Values.ToLong(value).ToString(CultureInfo.InvariantCulture)),
            'x' => new TemplateText(Values.ToLong(value).ToString("x", CultureInfo.InvariantCulture)),
            'f' or 'F' => new TemplateText(Values.ToDouble(value).ToString("F" + (precision ?? 6), CultureInfo.InvariantCulture)),
            _ => throw new ChatTemplateException($"format '%{code}' is not supported"),
        };
        if (code == 's' && precision < text.Length)
        {
            text = text.Slice(0, precision.Value);
        }

        if (flags.Contains('+', StringComparison.Ordinal) && Values.IsNumber(value) && Values.ToDouble(value) >= 0)
        {
            text = new TemplateText("+" + text.Text);
        }

        char fill = flags.StartsWith('0') && code != 's' ? '0' : ' ';
        var padding = new TemplateText(new string(fill, Math.Max(0, width - text.Length)));
        return flags.StartsWith('-')
            ? new TemplateText.Builder(budget).Append(text).Append(padding).Build()
            : new TemplateText.Builder(budget).Append(padding).Append(text).Build();
    }

    private static int ParseSize(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int size) && size <= 1000
            ? size
            : throw new ChatTemplateException($"a format width of '{text}' is not supported");

    private static object Arithmetic(string operation, object left, object right)
    {
        if (left is double || right is double || operation == "/")
        {
            double a = Values.ToDouble(left);
            double b = Values.ToDouble(right);
            if (b == 0 && operation is "/" or "//" or "%" && b == 0)
            {
                throw new ChatTemplateException("division by zero");
            }

            return operation switch
            {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a / b,
                "//" => Math.Floor(a / b),
                "%" => a - (Math.Floor(a / b) * b),
                _ => Math.Pow(a, b),
            };
        }

        long x = Values.ToLong(left);
        long y = Values.ToLong(right);
        if (y == 0 && operation is "//" or "%" && y == 0)
        {
            throw new ChatTemplateException("division by zero");
        }

        return operation switch
        {
            "+" => (object)checked(x + y),
            "-" => checked(x - y),
            "*" => checked(x * y),
            "//" => FloorDivide(x, y),
            "%" => checked(x - (FloorDivide(x, y) * y)),
            _ => y >= 0 ? IntegerPower(x, y) : (object)Math.Pow(x, y),
        };
    }

    private static long FloorDivide(long x, long y)
    {
        long quotient = checked(x / y);
        return x % y != 0 && (x < 0) != (y < 0) ? quotient - 1 : quotient;
    }

    private static long IntegerPower(long x, long y)
    {
        if (x is 0 or 1 || y == 0)
        {
            return y == 0 ? 1 : x;
        }

        if (x == -1)
        {
            return y % 2 == 0 ? 1 : -1;
        }

        long result = 1;
        for (long i = 0; i < y; i++)
        {
            // Two to the 64th overflows, so this ends soon.
            result = checked(result * x);
        }

        return result;
    }

    private static List<object?> Concat(List<object?> a, List<object?> b, Budget budget)
    {
        budget.SpendElements((long)a.Count + b.Count);
        List<object?> both = a is Tuple && b is Tuple ? new Tuple() : new List<object?>();
        both.AddRange(a);
        both.AddRange(b);
        return both;
    }

    private static TemplateText Repeat(TemplateText text, long times, Budget budget)
    {
        long count = Math.Max(0, times);
        budget.Spend(text.Length == 0 ? 0 : Math.Min(count, Budget.MaxText + 1L) * text.Length);
        var result = new TemplateText.Builder(budget);
        for (long i = 0; i < count && text.Length > 0; i++)
        {
            result.Append(text);
        }

        return result.Build();
    }

    private static List<object?> Repeat(List<object?> list, long times, Budget budget)
    {
        long count = Math.Max(0, times);
        budget.SpendElements(list.Count == 0 ? 0 : Math.Min(count, Budget.MaxElements + 1L) * list.Count);
        var result = new List<object?>();
        for (long i = 0; i < count && list.Count > 0; i++)
        {
            result.AddRange(list);
        }

        return result;
    }
}
