using System.Globalization;
using System.Text;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>How Python writes values: str, repr, json.dumps, strftime.</summary>
internal static class PythonText
{
    private const int MaxNesting = 64;

    /// <summary>What {{ value }} prints.</summary>
    public static TemplateText Str(object? value, Budget budget)
    {
        switch (value)
        {
            case TemplateText text:
                return text;
            case Undefined:
                return TemplateText.Empty;
            case List<object?> or OrderedDictionary<object, object?> or Namespace:
                var text2 = new StringBuilder();
                bool data = Repr(text2, value, budget, 0);
                return TemplateText.Derived(text2.ToString(), data);
            default:
                return new TemplateText(Scalar(value));
        }
    }

    /// <summary>json.dumps with ensure_ascii off, as Hugging Face's tojson filter.</summary>
    public static TemplateText Json(object? value, int? indent, bool sortKeys, string itemSeparator, string keySeparator, Budget budget)
    {
        var json = new StringBuilder();
        bool data = Json(json, value, indent, sortKeys, itemSeparator, keySeparator, budget, 0);
        return TemplateText.Derived(json.ToString(), data);
    }

    /// <summary>The formats of strftime that templates use, in English.</summary>
    public static string Strftime(DateTimeOffset now, string format)
    {
        var text = new StringBuilder();
        CultureInfo english = CultureInfo.InvariantCulture;
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            bool bare = format[++i] == '-' && i + 1 < format.Length;
            char code = bare ? format[++i] : format[i];
            string written = code switch
            {
                'Y' => now.ToString("yyyy", english),
                'y' => now.ToString("yy", english),
                'm' => now.ToString("MM", english),
                'd' => now.ToString("dd", english),
                'e' => now.Day.ToString(english).PadLeft(2),
                'B' => now.ToString("MMMM", english),
                'b' or 'h' => now.ToString("MMM", english),
                'A' => now.ToString("dddd", english),
                'a' => now.ToString("ddd", english),
                'H' => now.ToString("HH", english),
                'I' => now.ToString("hh", english),
                'M' => now.ToString("mm", english),
                'S' => now.ToString("ss", english),
                'p' => now.ToString("tt", english),
                'j' => now.DayOfYear.ToString("000", english),
                'F' => now.ToString("yyyy-MM-dd", english),
                'T' => now.ToString("HH:mm:ss", english),
                'D' => now.ToString("MM/dd/yy", english),
                'Z' => "UTC",
                'z' => now.ToString("zzz", english).Replace(":", "", StringComparison.Ordinal),
                '%' => "%",
                _ => throw new ChatTemplateException($"strftime_now: format %{code} is not supported"),
            };
            text.Append(bare ? written.TrimStart('0') : written);
        }

        return text.ToString();
    }

    /// <summary>Shortest text that reads back as the same number, in Python's spelling.</summary>
    public static string Float(double value)
    {
        if (double.IsNaN(value) || double.IsInfinity(value))
        {
            return double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }

        // The shortest digits, from which Python's spelling is made: plain from 1e-4 up to 1e16, else with an exponent.
        string text = value.ToString("E16", CultureInfo.InvariantCulture);
        for (int precision = 0; precision < 16; precision++)
        {
            string candidate = value.ToString($"E{precision}", CultureInfo.InvariantCulture);
            if (double.Parse(candidate, CultureInfo.InvariantCulture) == value)
            {
                text = candidate;
                break;
            }
        }

        int e = text.IndexOf('E', StringComparison.Ordinal);
        int exponent = int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        string sign = text[0] == '-' ? "-" : "";
        string digits = text[sign.Length..e].Replace(".", "", StringComparison.Ordinal).TrimEnd('0');
        digits = digits.Length == 0 ? "0" : digits;
        if (exponent is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? $".{digits[1..]}" : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)}";
        }

        if (exponent < 0)
        {
            return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        }

        digits = digits.PadRight(exponent + 2, '0');
        return $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    /// <summary>str.isspace for one character.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    private static string Scalar(object? value) => value switch
    {
        null => "None",
        bool b => b ? "True" : "False",
        long n => n.ToString(CultureInfo.InvariantCulture),
        double d => Float(d),
        Function function => $"<function {function.Name}>",
        _ => $"<{value.GetType().Name}>",
    };

    // Returns whether any text written was data.
    private static bool Repr(StringBuilder text, object? value, Budget budget, int depth)
    {
        CheckDepth(depth);
        budget.Step();
        bool data = false;
        switch (value)
        {
            case TemplateText string_:
                budget.Spend(string_.Length);
                Quote(text, string_.Text);
                return string_.HasData;
            case List<object?> list:
                text.Append(list is Tuple ? '(' : '[');
                for (int i = 0; i < list.Count; i++)
                {
                    text.Append(i == 0 ? "" : ", ");
                    data |= Repr(text, list[i], budget, depth + 1);
                }

                text.Append(list is not Tuple ? "]" : list.Count == 1 ? ",)" : ")");
                return data;
            case OrderedDictionary<object, object?> map:
                text.Append('{');
                int count = 0;
                foreach ((object key, object? item) in map)
                {
                    text.Append(count++ == 0 ? "" : ", ");
                    data |= Repr(text, key, budget, depth + 1);
                    text.Append(": ");
                    data |= Repr(text, item, budget, depth + 1);
                }

                text.Append('}');
                return data;
            default:
                text.Append(value is Undefined ? "Undefined" : Scalar(value));
                return false;
        }
    }

    private static void Quote(StringBuilder text, string value)
    {
        char quote = value.Contains('\'', StringComparison.Ordinal) && !value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        text.Append(quote);
        foreach (char c in value)
        {
            _ = c switch
            {
                '\\' => text.Append(@"\\"),
                '\n' => text.Append(@"\n"),
                '\r' => text.Append(@"\r"),
                '\t' => text.Append(@"\t"),
                _ when c == quote => text.Append('\\').Append(c),
                _ when char.IsControl(c) => text.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                _ => text.Append(c),
            };
        }

        text.Append(quote);
    }

    private static bool Json(
        StringBuilder json, object? value, int? indent, bool sortKeys, string itemSeparator, string keySeparator, Budget budget, int depth)
    {
        CheckDepth(depth);
        budget.Step();
        bool data = false;
        switch (value)
        {
            case TemplateText text:
                JsonString(json, text.Text, budget);
                return text.HasData;
            case List<object?> list:
                json.Append('[');
                for (int i = 0; i < list.Count; i++)
                {
                    Separate(i);
                    data |= Json(json, list[i], indent, sortKeys, itemSeparator, keySeparator, budget, depth + 1);
                }

                Close(list.Count, ']');
                return data;
            case OrderedDictionary<object, object?> map:
                json.Append('{');
                int count = 0;
                IEnumerable<KeyValuePair<object, object?>> pairs = sortKeys
                    ? map.OrderBy(pair => Str(pair.Key, budget).Text, StringComparer.Ordinal)
                    : map;
                foreach ((object key, object? item) in pairs)
                {
                    Separate(count++);
                    data |= key is TemplateText { HasData: true };
                    JsonString(json, key is TemplateText text ? text.Text : Scalar(key), budget);
                    json.Append(keySeparator);
                    data |= Json(json, item, indent, sortKeys, itemSeparator, keySeparator, budget, depth + 1);
                }

                Close(count, '}');
                return data;
            case null:
                json.Append("null");
                return false;
            case bool b:
                json.Append(b ? "true" : "false");
                return false;
            case long or double:
                json.Append(Scalar(value));
                return false;
            default:
                throw new ChatTemplateException($"{Values.TypeName(value)} cannot be written as JSON");
        }

        void Separate(int index)
        {
            json.Append(index == 0 ? "" : itemSeparator);
            NewLine(depth + 1);
        }

        void Close(int items, char bracket)
        {
            if (items > 0)
            {
                NewLine(depth);
            }

            json.Append(bracket);
        }

        void NewLine(int level)
        {
            if (indent is { } width)
            {
                budget.Spend((long)width * level);
                json.Append('\n').Append(' ', width * level);
            }
        }
    }

    private static void JsonString(StringBuilder json, string value, Budget budget)
    {
        budget.Spend(value.Length);
        json.Append('"');
        foreach (char c in value)
        {
            _ = c switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append(@"\\"),
                '\n' => json.Append(@"\n"),
                '\r' => json.Append(@"\r"),
                '\t' => json.Append(@"\t"),
                '\b' => json.Append(@"\b"),
                '\f' => json.Append(@"\f"),
                < ' ' => json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => json.Append(c),
            };
        }

        json.Append('"');
    }

    private static void CheckDepth(int depth)
    {
        if (depth > MaxNesting)
        {
            throw new ChatTemplateException($"a value nested more than {MaxNesting} deep cannot be written");
        }
    }
}
