namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Steps through tokens.</summary>
internal sealed class TokenReader(List<Token> tokens)
{
    private const int MaxNesting = 100;
    private int _at;
    private int _nesting;

    public Token Current => tokens[_at];

    public Token Next => tokens[Math.Min(_at + 1, tokens.Count - 1)];

    public int Line => Current.Line;

    public Token Take()
    {
        Token token = tokens[_at];
        _at = Math.Min(_at + 1, tokens.Count - 1);
        return token;
    }

    public bool IsName(string name) => Current.Type == TokenType.Name && Current.Text == name;

    public bool IsOperator(string text) => Current.Type == TokenType.Operator && Current.Text == text;

    public bool TryOperator(string text)
    {
        bool found = IsOperator(text);
        if (found)
        {
            Take();
        }

        return found;
    }

    public bool TryName(string name)
    {
        bool found = IsName(name);
        if (found)
        {
            Take();
        }

        return found;
    }

    public void Expect(string text)
    {
        if (!TryOperator(text) && !TryName(text))
        {
            throw Fail($"'{text}' is expected, not {Describe(Current)}");
        }
    }

    public Token Expect(TokenType type) =>
        Current.Type == type ? Take() : throw Fail($"{Name(type)} is expected, not {Describe(Current)}");

    public void Enter()
    {
        if (++_nesting > MaxNesting)
        {
            throw Fail($"nested more than {MaxNesting} deep");
        }
    }

    public void Leave() => _nesting--;

    public ChatTemplateException Fail(string what) => new($"chat template, line {Line}: {what}");

    public static string Describe(Token token) => token.Type switch
    {
        TokenType.Name or TokenType.Operator or TokenType.Integer or TokenType.Float => $"'{token.Text}'",
        _ => Name(token.Type),
    };

    private static string Name(TokenType type) => type switch
    {
        TokenType.Text => "text",
        TokenType.BlockStart => "'{%'",
        TokenType.BlockEnd => "'%}'",
        TokenType.PrintStart => "'{{'",
        TokenType.PrintEnd => "'}}'",
        TokenType.Name => "a name",
        TokenType.String => "a string",
        TokenType.Integer or TokenType.Float => "a number",
        TokenType.Operator => "an operator",
        _ => "the end of the template",
    };
}
