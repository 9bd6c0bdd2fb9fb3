using System.Globalization;

namespace Cleave.Gateway.Grammar;

/// <summary>
/// Regular expressions of JSON Schema's "pattern" (ECMA 262) as pieces of a grammar: literals, classes, groups, alternatives,
/// quantifiers and the anchors at both ends. Look-around, back-references and word boundaries are refused by name.
/// </summary>
internal sealed class PatternCompiler
{
    private const int MaxRepeat = 1000;
    private const int MaxGroups = 50;
    private static readonly (int Low, int High)[] Digits = [('0', '9')];
    private static readonly (int Low, int High)[] Words = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
    private static readonly (int Low, int High)[] Spaces = [(9, 13), (32, 32), (0xA0, 0xA0)];
    private static readonly (int Low, int High)[] All = [(0x20, 0x10FFFF)];

    private readonly GrammarBuilder _builder;
    private readonly string _pattern;
    private int _at;
    private int _groups;

    private PatternCompiler(GrammarBuilder builder, string pattern)
    {
        _builder = builder;
        _pattern = pattern;
    }

    /// <summary>Adds the characters a pattern matches, as they stand in a JSON string. Without anchors anything may stand around them.</summary>
    /// <exception cref="GrammarException">The pattern is malformed or uses what is not supported.</exception>
    public static GrammarNode Add(GrammarBuilder builder, GrammarNode from, string pattern)
    {
        var compiler = new PatternCompiler(builder, pattern);
        bool startAnchored = pattern.StartsWith('^');
        bool endAnchored = pattern.EndsWith('$') && !pattern.EndsWith("\\$", StringComparison.Ordinal);
        if (startAnchored || endAnchored)
        {
            compiler.CheckTopLevelAlternatives();
        }

        compiler._at = startAnchored ? 1 : 0;
        from = startAnchored ? from : compiler.Anything(from);
        from = compiler.Alternatives(from, depth: 0);
        if (endAnchored && compiler._at == pattern.Length - 1)
        {
            return from;
        }

        return compiler._at == pattern.Length ? compiler.Anything(from) : throw compiler.Unsupported($"'{pattern[compiler._at]}'");
    }

    private GrammarNode Anything(GrammarNode from) => _builder.Repeat(from, 0, null, at => Utf8.OneOf(_builder, at, All));

    // ^a|b$ anchors each alternative at one end only; asking for parentheses is clearer than guessing.
    private void CheckTopLevelAlternatives()
    {
        int depth = 0;
        bool inClass = false;
        for (int i = 0; i < _pattern.Length; i++)
        {
            char c = _pattern[i];
            if (c == '\\')
            {
                i++;
            }
            else if (inClass)
            {
                inClass = c != ']';
            }
            else if (c == '[')
            {
                inClass = true;
            }
            else if (c is '(' or ')')
            {
                depth += c == '(' ? 1 : -1;
            }
            else if (c == '|' && depth == 0)
            {
                throw Unsupported("'|' beside an anchor (put the alternatives in parentheses)");
            }
        }
    }

    private GrammarNode Alternatives(GrammarNode from, int depth)
    {
        GrammarNode end = _builder.Node();
        while (true)
        {
            GrammarNode start = _builder.Node();
            from.Epsilon.Add(start);
            Sequence(start, depth).Epsilon.Add(end);
            if (_at < _pattern.Length && _pattern[_at] == '|')
            {
                _at++;
                continue;
            }

            return end;
        }
    }

    private GrammarNode Sequence(GrammarNode from, int depth)
    {
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')') && !(_pattern[_at] == '$' && _at == _pattern.Length - 1))
        {
            int start = _at;
            GrammarNode probe = _builder.Node(); // the first repetition; further ones read the same stretch again
            GrammarNode probeEnd = Atom(probe, depth);
            int end = _at;
            (int min, int? max) = Quantifier();
            if ((min, max) == (1, 1))
            {
                from.Epsilon.Add(probe);
                from = probeEnd;
                continue;
            }

            int after = _at;
            from = _builder.Repeat(from, min, max, at =>
            {
                _at = start;
                GrammarNode next = Atom(at, depth);
                _at = end;
                return next;
            });
            _at = after;
        }

        return from;
    }

    private GrammarNode Atom(GrammarNode from, int depth)
    {
        char c = _pattern[_at++];
        switch (c)
        {
            case '(':
                if (++_groups > MaxGroups * MaxRepeat || depth > MaxGroups)
                {
                    throw Unsupported("so many groups");
                }

                if (_at < _pattern.Length && _pattern[_at] == '?')
                {
                    if (_at + 1 >= _pattern.Length || _pattern[_at + 1] != ':')
                    {
                        throw Unsupported("(?");
                    }

                    _at += 2;
                }

                from = Alternatives(from, depth + 1);
                if (_at >= _pattern.Length || _pattern[_at++] != ')')
                {
                    throw Unsupported("an unclosed group");
                }

                return from;
            case '[':
                return Utf8.OneOf(_builder, from, Class());
            case '.':
                return Utf8.OneOf(_builder, from, All);
            case '\\':
                return Utf8.OneOf(_builder, from, Escape());
            case '^' or '$' or '*' or '+' or '?' or '{':
                throw Unsupported($"'{c}' at this place");
            default:
                return Utf8.OneOf(_builder, from, [Literal(c)]);
        }
    }

    private (int Low, int High) Literal(char c)
    {
        int rune = c;
        if (char.IsHighSurrogate(c) && _at < _pattern.Length && char.IsLowSurrogate(_pattern[_at]))
        {
            rune = char.ConvertToUtf32(c, _pattern[_at++]);
        }

        return (rune, rune);
    }

    private (int Low, int High)[] Escape()
    {
        if (_at >= _pattern.Length)
        {
            throw Unsupported("a backslash at the end");
        }

        char c = _pattern[_at++];
        return c switch
        {
            'd' => Digits,
            'D' => Complement(Digits),
            'w' => Words,
            'W' => Complement(Words),
            's' => Spaces,
            'S' => Complement(Spaces),
            'n' => [('\n', '\n')],
            'r' => [('\r', '\r')],
            't' => [('\t', '\t')],
            'f' => [('\f', '\f')],
            'v' => [('\v', '\v')],
            'u' => One(Hex(4)),
            'x' => One(Hex(2)),
            _ when char.IsAsciiLetterOrDigit(c) => throw Unsupported($"\\{c}"),
            _ => [(c, c)],
        };
    }

    private static (int Low, int High)[] One(int rune) => [(rune, rune)];

    private int Hex(int digits)
    {
        if (_at + digits > _pattern.Length
            || !int.TryParse(_pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || value is >= 0xD800 and <= 0xDFFF)
        {
            throw Unsupported("an incomplete hexadecimal escape or a surrogate");
        }

        _at += digits;
        return value;
    }

    private IEnumerable<(int Low, int High)> Class()
    {
        bool negated = _at < _pattern.Length && _pattern[_at] == '^';
        _at += negated ? 1 : 0;
        var ranges = new List<(int Low, int High)>();
        while (_at < _pattern.Length && _pattern[_at] != ']')
        {
            (int Low, int High)[] item = ClassItem();
            if (item is [var single] && single.Low == single.High && _at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
            {
                _at++;
                if (ClassItem() is not [var last] || last.Low != last.High || last.Low < single.Low)
                {
                    throw Unsupported("this range in a class");
                }

                item = [(single.Low, last.Low)];
            }

            ranges.AddRange(item);
        }

        if (_at >= _pattern.Length)
        {
            throw Unsupported("an unclosed class");
        }

        _at++;
        return negated ? Complement([.. ranges]) : ranges;
    }

    private (int Low, int High)[] ClassItem()
    {
        char c = _pattern[_at++];
        if (c != '\\')
        {
            return [Literal(c)];
        }

        if (_at < _pattern.Length && _pattern[_at] == 'b')
        {
            _at++;
            return [('\b', '\b')];
        }

        return Escape();
    }

    private (int Min, int? Max) Quantifier()
    {
        if (_at >= _pattern.Length)
        {
            return (1, 1);
        }

        (int Min, int? Max) bounds;
        switch (_pattern[_at])
        {
            case '*':
                bounds = (0, null);
                break;
            case '+':
                bounds = (1, null);
                break;
            case '?':
                bounds = (0, 1);
                break;
            case '{':
                int close = _pattern.IndexOf('}', _at);
                string[] parts = close < 0 ? [] : _pattern[(_at + 1)..close].Split(',');
                if (parts.Length is not (1 or 2)
                    || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int min)
                    || (parts.Length == 2 && parts[1].Length > 0 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out _)))
                {
                    throw Unsupported("this '{'");
                }

                int? max = parts.Length == 1 ? min : parts[1].Length == 0 ? null : int.Parse(parts[1], CultureInfo.InvariantCulture);
                if (min > MaxRepeat || max > MaxRepeat || max < min)
                {
                    throw Unsupported($"more than {MaxRepeat} repetitions, or fewer than none,");
                }

                bounds = (min, max);
                _at = close;
                break;
            default:
                return (1, 1);
        }

        _at++;
        if (_at < _pattern.Length && _pattern[_at] == '?')
        {
            _at++; // lazy: the same language
        }

        return bounds;
    }

    private static (int Low, int High)[] Complement((int Low, int High)[] ranges)
    {
        var result = new List<(int, int)>();
        int next = 0x20;
        foreach ((int low, int high) in ranges.OrderBy(static range => range.Low))
        {
            if (low > next)
            {
                result.Add((next, low - 1));
            }

            next = Math.Max(next, high + 1);
        }

        if (next <= 0x10FFFF)
        {
            result.Add((next, 0x10FFFF));
        }

        return [.. result];
    }

    private GrammarException Unsupported(string what) =>
        new($"the pattern \"{_pattern}\" uses {what}, which is not supported; literals, classes, groups, |, *, +, ?, {{m,n}}, ^ at the start and $ at the end are");
}
