namespace Cleave.Gateway.Grammar;

/// <summary>The rules of JSON (RFC 8259) over bytes, with bounds: numbers fit a double, white space cannot go on for ever, strings are well-formed UTF-8.</summary>
internal sealed class JsonGrammar
{
    private const int MaxIndent = 32;
    private GrammarNode? _value;
    private GrammarNode? _object;
    private GrammarNode? _array;
    private GrammarNode? _string;
    private GrammarNode? _character;
    private GrammarNode? _number;
    private GrammarNode? _integer;
    private GrammarNode? _space;

    /// <param name="builder">Gets the rules, each when first used.</param>
    public JsonGrammar(GrammarBuilder builder) => Builder = builder;

    /// <summary>A machine for any JSON object.</summary>
    public static GrammarMachine AnyObject(TokenTrie trie)
    {
        var builder = new GrammarBuilder();
        return new GrammarMachine(builder, new JsonGrammar(builder).Object, trie);
    }

    /// <summary>Holds the rules.</summary>
    public GrammarBuilder Builder { get; }

    /// <summary>Any value.</summary>
    public GrammarNode Value
    {
        get
        {
            if (_value is null)
            {
                _value = Builder.Node(); // known before its body: it calls itself
                Builder.OneOf(
                    _value,
                    from => Builder.Call(from, Object),
                    from => Builder.Call(from, Array),
                    from => Builder.Call(from, String),
                    from => Builder.Call(from, Number),
                    from => Builder.OneOfTexts(from, ["true", "false", "null"])).EndsRule = true;
            }

            return _value;
        }
    }

    /// <summary>Any object.</summary>
    public GrammarNode Object => _object ??= Builder.Rule(from => Map(from, at => Builder.Call(at, Value), 0, null));

    /// <summary>Any array.</summary>
    public GrammarNode Array => _array ??= Builder.Rule(from => List(from, at => Builder.Call(at, Value), 0, null));

    /// <summary>Any string.</summary>
    public GrammarNode String => _string ??= Builder.Rule(from => Quoted(from, at => Builder.Repeat(at, 0, null, c => Builder.Call(c, Character))));

    /// <summary>One character of a string, escaped or not.</summary>
    public GrammarNode Character => _character ??= Builder.Rule(from => Builder.OneOf(from, at => Utf8.Any(Builder, at), Escape));

    /// <summary>Any number: up to 15 digits before and after the point, an exponent of up to two.</summary>
    public GrammarNode Number => _number ??= Builder.Rule(from =>
    {
        from = Builder.Call(from, Integer);
        from = Builder.Optional(from, at => Builder.Repeat(Builder.Text(at, "."), 1, 15, Digit));
        return Builder.Optional(from, at => Builder.Repeat(
            Builder.Optional(Builder.AnyOf(at, "eE"u8), sign => Builder.AnyOf(sign, "+-"u8)), 1, 2, Digit));
    });

    /// <summary>An integer of up to 15 digits: exact in a double.</summary>
    public GrammarNode Integer => _integer ??= Builder.Rule(from => Builder.OneOf(
        Builder.Optional(from, at => Builder.Text(at, "-")),
        at => Builder.Text(at, "0"),
        at => Builder.Repeat(Builder.Range(at, (byte)'1', (byte)'9'), 0, 14, Digit)));

    /// <summary>Adds white space: none, one blank, or a line break and an indent.</summary>
    public GrammarNode Space(GrammarNode from)
    {
        _space ??= Builder.Rule(at => Builder.OneOf(
            at,
            blank => Builder.Text(blank, " "),
            line => Builder.Repeat(Builder.Text(line, "\n"), 0, MaxIndent, indent => Builder.Text(indent, " "))));
        return Builder.Optional(from, at => Builder.Call(at, _space));
    }

    /// <summary>Adds a quoted string with the given content.</summary>
    public GrammarNode Quoted(GrammarNode from, Func<GrammarNode, GrammarNode> content) =>
        Builder.Text(content(Builder.Text(from, "\"")), "\"");

    /// <summary>Adds an array of items.</summary>
    public GrammarNode List(GrammarNode from, Func<GrammarNode, GrammarNode> item, int min, int? max)
    {
        from = Space(Builder.Text(from, "["));
        return Builder.Text(Separated(from, item, min, max), "]");
    }

    /// <summary>Adds an object of any keys with the given values.</summary>
    public GrammarNode Map(GrammarNode from, Func<GrammarNode, GrammarNode> value, int min, int? max)
    {
        from = Space(Builder.Text(from, "{"));
        return Builder.Text(Separated(from, at => value(Colon(Builder.Call(at, String))), min, max), "}");
    }

    /// <summary>Adds a colon.</summary>
    public GrammarNode Colon(GrammarNode from) => Space(Builder.Text(Space(from), ":"));

    /// <summary>Adds a comma.</summary>
    public GrammarNode Comma(GrammarNode from) => Space(Builder.Text(from, ","));

    /// <summary>Adds a decimal digit.</summary>
    public GrammarNode Digit(GrammarNode from) => Builder.Range(from, (byte)'0', (byte)'9');

    private GrammarNode Separated(GrammarNode from, Func<GrammarNode, GrammarNode> item, int min, int? max)
    {
        if (max == 0)
        {
            return from;
        }

        GrammarNode Items(GrammarNode at) => Space(Builder.Repeat(item(at), Math.Max(0, min - 1), max - 1, next => item(Comma(Space(next)))));
        return min == 0 ? Builder.Optional(from, Items) : Items(from);
    }

    // \uXXXX outside the surrogates, or a pair of them: a lone surrogate is no text.
    private GrammarNode Escape(GrammarNode from)
    {
        from = Builder.Text(from, "\\");
        return Builder.OneOf(
            from,
            at => Builder.AnyOf(at, "\"\\/bfnrt"u8),
            at => Hex(Hex(Hex(Builder.AnyOf(Builder.Text(at, "u"), "0123456789abcefABCEF"u8)))),
            at => Hex(Hex(Builder.AnyOf(Builder.AnyOf(Builder.Text(at, "u"), "dD"u8), "01234567"u8))),
            at =>
            {
                at = Hex(Hex(Builder.AnyOf(Builder.AnyOf(Builder.Text(at, "u"), "dD"u8), "89abAB"u8)));
                return Hex(Hex(Builder.AnyOf(Builder.AnyOf(Builder.Text(at, "\\u"), "dD"u8), "cdefCDEF"u8)));
            });
    }

    private GrammarNode Hex(GrammarNode from) => Builder.AnyOf(from, "0123456789abcdefABCDEF"u8);
}
