namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Tokens to statements.</summary>
internal sealed class Parser
{
    private readonly TokenReader _reader;
    private readonly ExpressionParser _expressions;
    private int _loops;

    private Parser(List<Token> tokens)
    {
        _reader = new TokenReader(tokens);
        _expressions = new ExpressionParser(_reader);
    }

    /// <exception cref="ChatTemplateException">A syntax error or a statement that is not supported.</exception>
    public static Node[] Parse(List<Token> tokens)
    {
        var parser = new Parser(tokens);
        Node[] body = parser.ParseBody();
        return parser._reader.Current.Type == TokenType.End
            ? body
            : throw parser._reader.Fail($"'{parser._reader.Next.Text}' closes nothing");
    }

    // Up to a block that starts with one of the names, which is left unread but for its "{%".
    private Node[] ParseBody(params ReadOnlySpan<string> ends)
    {
        _reader.Enter();
        var nodes = new List<Node>();
        while (_reader.Current.Type != TokenType.End)
        {
            int line = _reader.Line;
            switch (_reader.Current.Type)
            {
                case TokenType.Text:
                    nodes.Add(new TextNode(line, new TemplateText(_reader.Take().Text)));
                    break;
                case TokenType.PrintStart:
                    _reader.Take();
                    nodes.Add(new PrintNode(line, _expressions.ParseTuple()));
                    _reader.Expect(TokenType.PrintEnd);
                    break;
                default:
                    string name = _reader.Next.Text;
                    if (_reader.Next.Type == TokenType.Name && ends.Contains(name))
                    {
                        _reader.Take();
                        _reader.Leave();
                        return [.. nodes];
                    }

                    if (ends.IsEmpty && name.StartsWith("end", StringComparison.Ordinal))
                    {
                        throw _reader.Fail($"'{name}' closes nothing");
                    }

                    _reader.Take();
                    ParseStatement(_reader.Expect(TokenType.Name).Text, line, nodes);
                    break;
            }
        }

        _reader.Leave();
        return ends.IsEmpty ? [.. nodes] : throw _reader.Fail($"'{ends[^1]}' is missing");
    }

    private void ParseStatement(string name, int line, List<Node> nodes)
    {
        switch (name)
        {
            case "if":
                nodes.Add(ParseIf(line));
                break;
            case "for":
                nodes.Add(ParseFor(line));
                break;
            case "set":
                nodes.Add(ParseSet(line));
                break;
            case "macro":
                nodes.Add(ParseMacro(line));
                break;
            case "call":
                nodes.Add(ParseCall(line));
                break;
            case "filter":
                nodes.Add(new FilterNode(line, ParseFilters(), ParseBlock("endfilter")));
                break;
            case "with":
                nodes.Add(ParseWith(line));
                break;
            case "generation":
                // Hugging Face's mark around the assistant's text, for training; it renders as its content.
                nodes.AddRange(ParseBlock("endgeneration"));
                break;
            case "break" or "continue":
                if (_loops == 0)
                {
                    throw _reader.Fail($"'{name}' outside a loop");
                }

                nodes.Add(name == "break" ? new BreakNode(line) : new ContinueNode(line));
                _reader.Expect(TokenType.BlockEnd);
                break;
            default:
                throw _reader.Fail($"statement '{name}' is not supported");
        }
    }

    // "%}", a body, and "{% end %}".
    private Node[] ParseBlock(string end)
    {
        _reader.Expect(TokenType.BlockEnd);
        Node[] body = ParseBody(end);
        _reader.Take();
        if (end == "endmacro" && _reader.Current.Type == TokenType.Name)
        {
            _reader.Take();
        }

        _reader.Expect(TokenType.BlockEnd);
        return body;
    }

    private IfNode ParseIf(int line)
    {
        var branches = new List<(Expression?, Node[])>();
        Expression? condition = _expressions.ParseTuple();
        while (true)
        {
            _reader.Expect(TokenType.BlockEnd);
            Node[] body = condition is null ? ParseBody("endif") : ParseBody("elif", "else", "endif");
            branches.Add((condition, body));
            string next = _reader.Take().Text;
            if (next == "endif")
            {
                _reader.Expect(TokenType.BlockEnd);
                return new IfNode(line, [.. branches]);
            }

            condition = next == "elif" ? _expressions.ParseTuple() : null;
        }
    }

    private ForNode ParseFor(int line)
    {
        Target target = ParseTarget(allowMember: false);
        _reader.Expect("in");
        Expression items = _expressions.ParseWithoutCondition();
        if (_reader.IsOperator(","))
        {
            var all = new List<Expression> { items };
            while (_reader.TryOperator(","))
            {
                all.Add(_expressions.ParseWithoutCondition());
            }

            items = new ListExpression([.. all], IsTuple: true);
        }

        Expression? filter = _reader.TryName("if") ? _expressions.Parse() : null;
        bool recursive = _reader.TryName("recursive");
        _reader.Expect(TokenType.BlockEnd);
        _loops++;
        Node[] body = ParseBody("else", "endfor");
        _loops--;
        Node[] otherwise = [];
        if (_reader.Take().Text == "else")
        {
            otherwise = ParseBlock("endfor");
        }
        else
        {
            _reader.Expect(TokenType.BlockEnd);
        }

        return new ForNode(line, target, items, filter, body, otherwise, recursive);
    }

    private Node ParseSet(int line)
    {
        Target target = ParseTarget(allowMember: true);
        if (_reader.TryOperator("="))
        {
            Expression value = _expressions.ParseTuple();
            _reader.Expect(TokenType.BlockEnd);
            return new SetNode(line, target, value);
        }

        var filters = new List<FilterCall>();
        while (_reader.TryOperator("|"))
        {
            filters.Add(_expressions.ParseFilter(null));
        }

        return new SetBlockNode(line, target, filters, ParseBlock("endset"));
    }

    private Target ParseTarget(bool allowMember)
    {
        if (_reader.TryOperator("("))
        {
            Target inner = ParseTarget(allowMember);
            _reader.Expect(")");
            return inner;
        }

        var items = new List<Target>();
        do
        {
            if (items.Count > 0 && (_reader.IsOperator("=") || _reader.IsName("in")))
            {
                break;
            }

            string name = _reader.Expect(TokenType.Name).Text;
            items.Add(allowMember && _reader.TryOperator(".")
                ? new MemberTarget(name, _reader.Expect(TokenType.Name).Text)
                : new NameTarget(name));
        }
        while (_reader.TryOperator(","));
        return items.Count == 1 ? items[0] : new TupleTarget([.. items]);
    }

    private IReadOnlyList<FilterCall> ParseFilters()
    {
        var filters = new List<FilterCall>();
        do
        {
            filters.Add(_expressions.ParseFilter(null));
        }
        while (_reader.TryOperator("|"));
        return filters;
    }

    private WithNode ParseWith(int line)
    {
        var values = new List<(string, Expression)>();
        while (_reader.Current.Type != TokenType.BlockEnd)
        {
            string name = _reader.Expect(TokenType.Name).Text;
            _reader.Expect("=");
            values.Add((name, _expressions.Parse()));
            if (_reader.Current.Type != TokenType.BlockEnd)
            {
                _reader.Expect(",");
            }
        }

        return new WithNode(line, [.. values], ParseBlock("endwith"));
    }

    private MacroNode ParseMacro(int line)
    {
        string name = _reader.Expect(TokenType.Name).Text;
        return new MacroNode(line, name, ParseParameters(), ParseMacroBody("endmacro"));
    }

    private CallNode ParseCall(int line)
    {
        (string, Expression?)[] parameters = _reader.IsOperator("(") ? ParseParameters() : [];
        Expression call = _expressions.Parse();
        return call is CallExpression
            ? new CallNode(line, call, new MacroNode(line, "caller", parameters, ParseMacroBody("endcall")))
            : throw _reader.Fail("a call is expected after 'call'");
    }

    private Node[] ParseMacroBody(string end)
    {
        // A loop outside a macro cannot be left from within.
        int loops = _loops;
        _loops = 0;
        Node[] body = ParseBlock(end);
        _loops = loops;
        return body;
    }

    private (string Name, Expression? Default)[] ParseParameters()
    {
        _reader.Expect("(");
        var parameters = new List<(string, Expression?)>();
        while (!_reader.TryOperator(")"))
        {
            string name = _reader.Expect(TokenType.Name).Text;
            parameters.Add((name, _reader.TryOperator("=") ? _expressions.Parse() : null));
            if (!_reader.IsOperator(")"))
            {
                _reader.Expect(",");
            }
        }

        return [.. parameters];
    }
}
