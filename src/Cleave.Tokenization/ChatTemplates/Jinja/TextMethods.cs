using System.Globalization;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Methods of Python's str.</summary>
internal static class TextMethods
{
    private static readonly Dictionary<string, Func<TemplateText, Arguments, Budget, object?>> All = new(StringComparer.Ordinal)
    {
        ["strip"] = (text, arguments, _) => Strip(text, arguments, start: true, end: true),
        ["lstrip"] = (text, arguments, _) => Strip(text, arguments, start: true, end: false),
        ["rstrip"] = (text, arguments, _) => Strip(text, arguments, start: false, end: true),
        ["removeprefix"] = (text, arguments, _) => Values.ToText(arguments.Required(0, "prefix")) is var prefix
            && text.Text.StartsWith(prefix.Text, StringComparison.Ordinal) ? text.Slice(prefix.Length, text.Length - prefix.Length) : text,
        ["removesuffix"] = (text, arguments, _) => Values.ToText(arguments.Required(0, "suffix")) is var suffix
            && text.Text.EndsWith(suffix.Text, StringComparison.Ordinal) ? text.Slice(0, text.Length - suffix.Length) : text,
        ["startswith"] = (text, arguments, _) => Affix(arguments, affix => text.Text.StartsWith(affix, StringComparison.Ordinal)),
        ["endswith"] = (text, arguments, _) => Affix(arguments, affix => text.Text.EndsWith(affix, StringComparison.Ordinal)),
        ["upper"] = (text, _, _) => text.Recased(Upper(text.Text)),
        ["lower"] = (text, _, _) => text.Recased(text.Text.ToLowerInvariant()),
        ["casefold"] = (text, _, _) => text.Recased(text.Text.ToLowerInvariant()),
        ["swapcase"] = (text, _, _) => text.Recased(string.Concat(text.Text.Select(c =>
            char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c)))),
        ["capitalize"] = (text, _, _) => Capitalize(text),
        ["title"] = (text, _, _) => Title(text),
        ["replace"] = (text, arguments, budget) => Replace(
            text, Values.ToText(arguments.Required(0, "old")), Values.ToText(arguments.Required(1, "new")),
            Values.ToLong(arguments.Optional(2, "count", -1L)), budget),
        ["split"] = (text, arguments, budget) => Split(text, arguments, budget, fromEnd: false),
        ["rsplit"] = (text, arguments, budget) => Split(text, arguments, budget, fromEnd: true),
        ["splitlines"] = (text, arguments, budget) => SplitLines(text, Values.Truth(arguments.Optional(0, "keepends", false)), budget),
        ["partition"] = (text, arguments, _) => Partition(text, Values.ToText(arguments.Required(0, "sep")), last: false),
        ["rpartition"] = (text, arguments, _) => Partition(text, Values.ToText(arguments.Required(0, "sep")), last: true),
        ["join"] = (text, arguments, budget) => Join(Values.Iterate(arguments.Required(0, "iterable"), budget), text, budget, convert: false),
        ["find"] = (text, arguments, _) => (long)text.Text.IndexOf(Values.ToText(arguments.Required(0, "sub")).Text, StringComparison.Ordinal),
        ["rfind"] = (text, arguments, _) => (long)text.Text.LastIndexOf(Values.ToText(arguments.Required(0, "sub")).Text, StringComparison.Ordinal),
        ["index"] = (text, arguments, _) => text.Text.IndexOf(Values.ToText(arguments.Required(0, "sub")).Text, StringComparison.Ordinal) is >= 0 and var at
            ? (long)at
            : throw new ChatTemplateException("a string lacks the part whose index is asked for"),
        ["count"] = (text, arguments, _) => Count(text.Text, Values.ToText(arguments.Required(0, "sub")).Text),
        ["zfill"] = (text, arguments, budget) => Pad(text, arguments, budget, left: true, right: false, '0'),
        ["rjust"] = (text, arguments, budget) => Pad(text, arguments, budget, left: true, right: false, ' '),
        ["ljust"] = (text, arguments, budget) => Pad(text, arguments, budget, left: false, right: true, ' '),
        ["center"] = (text, arguments, budget) => Pad(text, arguments, budget, left: true, right: true, ' '),
        ["format"] = (text, arguments, budget) => Format(text, arguments, budget),
        ["isdigit"] = (text, _, _) => Every(text, char.IsDigit),
        ["isdecimal"] = (text, _, _) => Every(text, char.IsDigit),
        ["isnumeric"] = (text, _, _) => Every(text, char.IsNumber),
        ["isalpha"] = (text, _, _) => Every(text, char.IsLetter),
        ["isalnum"] = (text, _, _) => Every(text, char.IsLetterOrDigit),
        ["isspace"] = (text, _, _) => Every(text, PythonText.IsSpace),
        ["isupper"] = (text, _, _) => text.Text.Any(char.IsLetter) && !text.Text.Any(char.IsLower),
        ["islower"] = (text, _, _) => text.Text.Any(char.IsLetter) && !text.Text.Any(char.IsUpper),
    };

    /// <summary>The method of a name, bound to its text, or null.</summary>
    public static Function? Find(TemplateText text, string name, Budget budget) =>
        All.TryGetValue(name, out Func<TemplateText, Arguments, Budget, object?>? method)
            ? new Function(name, arguments => method(text, arguments, budget))
            : null;

    /// <summary>Replaces at most <paramref name="count"/> occurrences, all when negative.</summary>
    public static TemplateText Replace(TemplateText text, TemplateText old, TemplateText replacement, long count, Budget budget)
    {
        var result = new TemplateText.Builder(budget);
        int at = 0;
        if (old.Length == 0)
        {
            // Python puts the replacement between all characters.
            for (; at <= text.Length && count != 0; at++, count--)
            {
                result.Append(replacement).Append(text.Slice(at, Math.Min(1, text.Length - at)));
            }

            return result.Append(text.Slice(Math.Min(at, text.Length), Math.Max(0, text.Length - at))).Build();
        }

        for (int found; count != 0 && (found = text.Text.IndexOf(old.Text, at, StringComparison.Ordinal)) >= 0; count--)
        {
            result.Append(text.Slice(at, found - at)).Append(replacement);
            at = found + old.Length;
        }

        return result.Append(text.Slice(at, text.Length - at)).Build();
    }

    /// <summary>Joins items with a separator between.</summary>
    public static TemplateText Join(IReadOnlyList<object?> items, TemplateText separator, Budget budget, bool convert)
    {
        var result = new TemplateText.Builder(budget);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                result.Append(separator);
            }

            result.Append(convert ? PythonText.Str(items[i], budget) : Values.ToText(items[i]));
        }

        return result.Build();
    }

    public static string Upper(string text) => text.ToUpperInvariant().Replace("ß", "SS", StringComparison.Ordinal);

    public static TemplateText Capitalize(TemplateText text) => text.Length == 0
        ? text
        : text.Recased(char.ToUpperInvariant(text.Text[0]) + text.Text[1..].ToLowerInvariant());

    public static TemplateText Pad(TemplateText text, long width, TemplateText fill, bool left, bool right, Budget budget)
    {
        long missing = Math.Max(0, width - text.Length);
        budget.Spend(missing);
        int before = (int)(left && right ? missing / 2 : left ? missing : 0);
        return new TemplateText.Builder(budget)
            .Append(new TemplateText(new string(fill.Text[0], before)))
            .Append(text)
            .Append(new TemplateText(new string(fill.Text[0], (int)missing - before)))
            .Build();
    }

    public static long Count(string text, string part)
    {
        if (part.Length == 0)
        {
            return text.Length + 1;
        }

        long count = 0;
        for (int at = 0; (at = text.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length)
        {
            count++;
        }

        return count;
    }

    public static List<object?> SplitLines(TemplateText text, bool keepEnds, Budget budget)
    {
        var lines = new List<object?>();
        budget.Spend(text.Length);
        for (int at = 0; at < text.Length;)
        {
            int length = text.Text.AsSpan(at).IndexOfAny('\n', '\r');
            int end = length < 0 ? text.Length : at + length;
            int next = Math.Min(text.Length, end + (text.Text.AsSpan(end).StartsWith("\r\n") ? 2 : 1));
            lines.Add(text.Slice(at, (keepEnds ? next : end) - at));
            at = next;
        }

        return lines;
    }

    private static TemplateText Strip(TemplateText text, Arguments arguments, bool start, bool end) =>
        arguments.Optional(0, "chars") is TemplateText chars
            ? text.Trim(c => chars.Text.Contains(c, StringComparison.Ordinal), start, end)
            : text.Trim(PythonText.IsSpace, start, end);

    private static bool Affix(Arguments arguments, Func<string, bool> holds) => arguments.Required(0, "prefix") switch
    {
        List<object?> any => any.Any(affix => holds(Values.ToText(affix).Text)),
        var one => holds(Values.ToText(one).Text),
    };

    private static bool Every(TemplateText text, Func<char, bool> holds) => text.Length > 0 && text.Text.All(holds);

    private static TemplateText Title(TemplateText text)
    {
        char[] chars = text.Text.ToCharArray();
        bool inWord = false;
        for (int i = 0; i < chars.Length; i++)
        {
            chars[i] = inWord ? char.ToLowerInvariant(chars[i]) : char.ToUpperInvariant(chars[i]);
            inWord = char.IsLetter(chars[i]);
        }

        return text.Recased(new string(chars));
    }

    private static TemplateText Pad(TemplateText text, Arguments arguments, Budget budget, bool left, bool right, char fill)
    {
        long width = Values.ToLong(arguments.Required(0, "width"));
        TemplateText with = fill == '0' ? new TemplateText("0") : Values.ToText(arguments.Optional(1, "fillchar", new TemplateText(" ")));
        return with.Length == 1
            ? Pad(text, width, with, left, right, budget)
            : throw new ChatTemplateException("a fill character must be one character");
    }

    private static List<object?> Split(TemplateText text, Arguments arguments, Budget budget, bool fromEnd)
    {
        TemplateText? separator = arguments.Optional(0, "sep") is { } sep ? Values.ToText(sep) : null;
        long limit = Values.ToLong(arguments.Optional(1, "maxsplit", -1L));
        budget.Spend(text.Length);
        if (separator?.Length == 0)
        {
            throw new ChatTemplateException("split needs a separator that is not empty");
        }

        // Cuts are found from the side that the limit counts from.
        if (separator is null)
        {
            return SplitAtSpaces(text, limit, fromEnd);
        }

        List<(int Start, int End)> cuts = Occurrences(text.Text, separator.Text, fromEnd);
        if (limit >= 0 && cuts.Count > limit)
        {
            cuts = fromEnd ? cuts[^(int)limit..] : cuts[..(int)limit];
        }

        var parts = new List<object?>();
        int at = 0;
        foreach ((int start, int end) in cuts)
        {
            parts.Add(text.Slice(at, start - at));
            at = end;
        }

        parts.Add(text.Slice(at, text.Length - at));
        return parts;
    }

    // White space at either end makes no empty part; past the limit the rest stays as it is, but for the space it follows.
    private static List<object?> SplitAtSpaces(TemplateText text, long limit, bool fromEnd)
    {
        var parts = new List<object?>();
        string chars = text.Text;
        int from = 0;
        int to = chars.Length;
        while (true)
        {
            while (from < to && PythonText.IsSpace(chars[fromEnd ? to - 1 : from]))
            {
                _ = fromEnd ? to-- : from++;
            }

            if (from == to)
            {
                break;
            }

            if (limit >= 0 && parts.Count >= limit)
            {
                parts.Add(text.Slice(from, to - from));
                break;
            }

            (int start, int end) = (from, to);
            while (from < to && !PythonText.IsSpace(chars[fromEnd ? to - 1 : from]))
            {
                _ = fromEnd ? to-- : from++;
            }

            parts.Add(fromEnd ? text.Slice(to, end - to) : text.Slice(start, from - start));
        }

        if (fromEnd)
        {
            parts.Reverse();
        }

        return parts;
    }

    private static List<(int Start, int End)> Occurrences(string text, string part, bool fromEnd)
    {
        var found = new List<(int, int)>();
        if (fromEnd)
        {
            for (int end = text.Length; end >= part.Length; end = found[^1].Item1)
            {
                int at = text.AsSpan(0, end).LastIndexOf(part);
                if (at < 0)
                {
                    break;
                }

                found.Add((at, at + part.Length));
            }

            found.Reverse();
            return found;
        }

        for (int at = 0; (at = text.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length)
        {
            found.Add((at, at + part.Length));
        }

        return found;
    }

    private static Tuple Partition(TemplateText text, TemplateText separator, bool last)
    {
        int at = last ? text.Text.LastIndexOf(separator.Text, StringComparison.Ordinal) : text.Text.IndexOf(separator.Text, StringComparison.Ordinal);
        if (at < 0)
        {
            return last ? new Tuple { TemplateText.Empty, TemplateText.Empty, text } : new Tuple { text, TemplateText.Empty, TemplateText.Empty };
        }

        int after = at + separator.Length;
        return new Tuple { text.Slice(0, at), text.Slice(at, separator.Length), text.Slice(after, text.Length - after) };
    }

    // str.format with {}, {0} and {name}; format specifications are refused.
    private static TemplateText Format(TemplateText text, Arguments arguments, Budget budget)
    {
        var result = new TemplateText.Builder(budget);
        IReadOnlyDictionary<string, object?> named = arguments.TakeNamed();
        IReadOnlyList<object?> positional = arguments.TakeRest(0);
        int next = 0;
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text.Text[i];
            if (c is not ('{' or '}'))
            {
                continue;
            }

            result.Append(text.Slice(plain, i - plain));
            if (i + 1 < text.Length && text.Text[i + 1] == c)
            {
                result.Append(text.Slice(i, 1));
                i++;
            }
            else
            {
                int close = text.Text.IndexOf('}', i);
                if (c == '}' || close < 0)
                {
                    throw new ChatTemplateException("a format string has a lone brace");
                }

                string field = text.Text[(i + 1)..close];
                int index = field.Length == 0 ? next++
                    : int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
                    : -1;
                object? value = index >= 0 && index < positional.Count ? positional[index]
                    : index < 0 && named.TryGetValue(field, out object? byName) ? byName
                    : throw new ChatTemplateException($"a format string asks for '{field}', which is not given or not supported");
                result.Append(PythonText.Str(value, budget));
                i = close;
            }

            plain = i + 1;
        }

        return result.Append(text.Slice(plain, text.Length - plain)).Build();
    }
}
