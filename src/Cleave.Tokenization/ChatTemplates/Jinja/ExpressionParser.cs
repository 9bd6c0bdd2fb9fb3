using System.Globalization;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Expressions, in Jinja's precedence: if-else, or, and, not, comparison, + -, ~, * / // %, **, unary, postfix, filters and tests.</summary>
internal sealed class ExpressionParser(TokenReader reader)
{
    public Expression Parse()
    {
        reader.Enter();
        Expression value = ParseOr();
        while (reader.TryName("if"))
        {
            Expression condition = ParseOr();
            Expression? otherwise = reader.TryName("else") ? Parse() : null;
            value = new ConditionalExpression(condition, value, otherwise);
        }

        reader.Leave();
        return value;
    }

    /// <summary>One expression, or several with commas between, which make a tuple.</summary>
    public Expression ParseTuple()
    {
        Expression first = Parse();
        if (!reader.IsOperator(","))
        {
            return first;
        }

        var items = new List<Expression> { first };
        while (reader.TryOperator(",") && reader.Current.Type is not (TokenType.BlockEnd or TokenType.PrintEnd))
        {
            items.Add(Parse());
        }

        return new ListExpression([.. items], IsTuple: true);
    }

    /// <summary>An expression that leaves a following "if" alone (the filter of a for loop).</summary>
    public Expression ParseWithoutCondition() => ParseOr();

    /// <summary>"name(arguments)" of a filter, after its bar or the word "filter".</summary>
    public FilterCall ParseFilter(Expression? of)
    {
        string name = reader.Expect(TokenType.Name).Text;
        CallArguments arguments = reader.IsOperator("(") ? ParseArguments() : CallArguments.None;
        return Filters.Exists(name) ? new FilterCall(of, name, arguments) : throw reader.Fail($"filter '{name}' is not supported");
    }

    private Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (reader.TryName("or"))
        {
            left = new BinaryExpression("or", left, ParseAnd());
        }

        return left;
    }

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (reader.TryName("and"))
        {
            left = new BinaryExpression("and", left, ParseNot());
        }

        return left;
    }

    private Expression ParseNot()
    {
        if (!reader.TryName("not"))
        {
            return ParseComparison();
        }

        reader.Enter();
        var negated = new UnaryExpression("not", ParseNot());
        reader.Leave();
        return negated;
    }

    private Expression ParseComparison()
    {
        Expression first = ParseBinary(0);
        var rest = new List<(string, Expression)>();
        while (true)
        {
            if (reader.Current is { Type: TokenType.Operator, Text: "==" or "!=" or "<" or ">" or "<=" or ">=" } comparison)
            {
                reader.Take();
                rest.Add((comparison.Text, ParseBinary(0)));
            }
            else if (reader.TryName("in"))
            {
                rest.Add(("in", ParseBinary(0)));
            }
            else if (reader.IsName("not") && reader.Next is { Type: TokenType.Name, Text: "in" })
            {
                reader.Take();
                reader.Take();
                rest.Add(("not in", ParseBinary(0)));
            }
            else
            {
                return rest.Count == 0 ? first : new CompareExpression(first, [.. rest]);
            }
        }
    }

    private static readonly string[][] Levels = [["+", "-"], ["~"], ["*", "/", "//", "%"], ["**"]];

    private Expression ParseBinary(int level)
    {
        if (level == Levels.Length)
        {
            return ParseUnary(withFilters: true);
        }

        Expression left = ParseBinary(level + 1);
        while (reader.Current.Type == TokenType.Operator && Levels[level].Contains(reader.Current.Text))
        {
            string operation = reader.Take().Text;
            left = new BinaryExpression(operation, left, ParseBinary(level + 1));
        }

        return left;
    }

    private Expression ParseUnary(bool withFilters)
    {
        reader.Enter();
        Expression value = reader.TryOperator("-") ? new UnaryExpression("-", ParseUnary(withFilters: false))
            : reader.TryOperator("+") ? new UnaryExpression("+", ParseUnary(withFilters: false))
            : ParsePrimary();
        value = ParsePostfix(value);
        while (withFilters)
        {
            if (reader.TryOperator("|"))
            {
                value = ParseFilter(value);
            }
            else if (reader.TryName("is"))
            {
                value = ParseTest(value);
            }
            else if (reader.IsOperator("("))
            {
                value = new CallExpression(value, ParseArguments());
            }
            else
            {
                break;
            }
        }

        reader.Leave();
        return value;
    }

    private Expression ParsePrimary()
    {
        Token token = reader.Take();
        switch (token.Type)
        {
            case TokenType.Name:
                return token.Text switch
                {
                    "true" or "True" => new Literal(true),
                    "false" or "False" => new Literal(false),
                    "none" or "None" => new Literal(null),
                    _ => new NameReference(token.Text),
                };
            case TokenType.String:
                string text = token.Text;
                while (reader.Current.Type == TokenType.String)
                {
                    text += reader.Take().Text;
                }

                return new Literal(new TemplateText(text));
            case TokenType.Integer:
                return long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out long integer)
                    ? new Literal(integer)
                    : throw reader.Fail($"the number {token.Text} is too large");
            case TokenType.Float:
                return new Literal(double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenType.Operator when token.Text == "(":
                return ParseParenthesis();
            case TokenType.Operator when token.Text == "[":
                return new ListExpression(ParseItems("]"), IsTuple: false);
            case TokenType.Operator when token.Text == "{":
                return ParseDictionary();
            default:
                throw reader.Fail($"an expression is expected, not {TokenReader.Describe(token)}");
        }
    }

    private Expression ParseParenthesis()
    {
        if (reader.TryOperator(")"))
        {
            return new ListExpression([], IsTuple: true);
        }

        Expression first = Parse();
        if (reader.TryOperator(")"))
        {
            return first;
        }

        reader.Expect(",");
        return new ListExpression([first, .. ParseItems(")")], IsTuple: true);
    }

    private Expression[] ParseItems(string close)
    {
        var items = new List<Expression>();
        while (!reader.TryOperator(close))
        {
            items.Add(Parse());
            if (!reader.IsOperator(close))
            {
                reader.Expect(",");
            }
        }

        return [.. items];
    }

    private DictionaryExpression ParseDictionary()
    {
        var items = new List<(Expression, Expression)>();
        while (!reader.TryOperator("}"))
        {
            Expression key = Parse();
            reader.Expect(":");
            items.Add((key, Parse()));
            if (!reader.IsOperator("}"))
            {
                reader.Expect(",");
            }
        }

        return new DictionaryExpression([.. items]);
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            if (reader.TryOperator("."))
            {
                Token member = reader.Take();
                value = member.Type switch
                {
                    TokenType.Name => new MemberExpression(value, member.Text),
                    TokenType.Integer => new IndexExpression(value, new Literal(long.Parse(member.Text, CultureInfo.InvariantCulture))),
                    _ => throw reader.Fail($"a name is expected after '.', not {TokenReader.Describe(member)}"),
                };
            }
            else if (reader.TryOperator("["))
            {
                value = ParseSubscript(value);
            }
            else if (reader.IsOperator("("))
            {
                value = new CallExpression(value, ParseArguments());
            }
            else
            {
                return value;
            }
        }
    }

    private Expression ParseSubscript(Expression of)
    {
        Expression? start = reader.IsOperator(":") ? null : Parse();
        if (start is not null && reader.TryOperator("]"))
        {
            return new IndexExpression(of, start);
        }

        reader.Expect(":");
        Expression? stop = reader.IsOperator(":") || reader.IsOperator("]") ? null : Parse();
        Expression? step = reader.TryOperator(":") && !reader.IsOperator("]") ? Parse() : null;
        reader.Expect("]");
        return new SliceExpression(of, start, stop, step);
    }

    private CallArguments ParseArguments()
    {
        reader.Expect("(");
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        while (!reader.TryOperator(")"))
        {
            if (reader.IsOperator("*") || reader.IsOperator("**"))
            {
                throw reader.Fail("argument lists in '*' are not supported");
            }

            if (reader.Current.Type == TokenType.Name && reader.Next is { Type: TokenType.Operator, Text: "=" })
            {
                string name = reader.Take().Text;
                reader.Take();
                named.Add((name, Parse()));
            }
            else
            {
                positional.Add(Parse());
            }

            if (!reader.IsOperator(")"))
            {
                reader.Expect(",");
            }
        }

        return new CallArguments([.. positional], [.. named]);
    }

    private TestCall ParseTest(Expression of)
    {
        bool negated = reader.TryName("not");
        string name = reader.Expect(TokenType.Name).Text;
        if (!Tests.Exists(name))
        {
            throw reader.Fail($"test '{name}' is not supported");
        }

        CallArguments arguments = CallArguments.None;
        if (reader.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if (reader.Current.Type is TokenType.String or TokenType.Integer or TokenType.Float
            || reader.IsOperator("[") || reader.IsOperator("{")
            || (reader.Current.Type == TokenType.Name && reader.Current.Text is not ("else" or "or" or "and" or "is" or "if" or "in" or "not")))
        {
            arguments = new CallArguments([ParsePostfix(ParsePrimary())], []);
        }

        return new TestCall(of, name, arguments, negated);
    }
}
