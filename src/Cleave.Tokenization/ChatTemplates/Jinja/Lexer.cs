using System.Globalization;
using System.Text;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>
/// Template source to tokens, with the white-space rules of Jinja 2 under trim_blocks and lstrip_blocks: a line break after
/// a block or comment goes, as does white space between the line's start and one; "-" strips all, "+" keeps all.
/// </summary>
internal sealed class Lexer
{
    private const int MaxSource = 1 << 20;

    // Longest first.
    private static readonly string[] Operators =
    [
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")", "[", "]", "{", "}",
    ];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _at;
    private int _line = 1;
    private bool _stripNext;
    private bool _trimNext;

    private readonly bool _trimBlocks;

    private Lexer(string source, bool trimBlocks)
    {
        _source = source;
        _trimBlocks = trimBlocks;
    }

    /// <exception cref="ChatTemplateException">An unclosed tag or string, or a character that has no meaning.</exception>
    public static List<Token> Read(string source, bool trimBlocks)
    {
        if (source.Length > MaxSource)
        {
            throw new ChatTemplateException($"the chat template has {source.Length} characters; at most {MaxSource} are accepted");
        }

        string normal = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');

        // Jinja drops one line break at the end of a template.
        var lexer = new Lexer(normal.EndsWith('\n') ? normal[..^1] : normal, trimBlocks);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        while (_at < _source.Length)
        {
            int tag = NextTag();
            ReadText(tag);
            if (tag == _source.Length)
            {
                break;
            }

            char kind = _source[tag + 1];
            int line = _line;
            _at = tag + 2;
            if (Peek() is '-' or '+')
            {
                _at++;
            }

            if (kind == '#')
            {
                SkipComment(line);
            }
            else
            {
                ReadTag(kind == '%', line);
            }
        }

        _tokens.Add(new Token(TokenType.End, "", _line));
    }

    // The next "{{", "{%" or "{#", or the end.
    private int NextTag()
    {
        for (int i = _at; ; i++)
        {
            i = _source.IndexOf('{', i);
            if (i < 0 || i + 1 >= _source.Length)
            {
                return _source.Length;
            }

            if (_source[i + 1] is '{' or '%' or '#')
            {
                return i;
            }
        }
    }

    private void ReadText(int end)
    {
        int start = _at;
        int stop = end;
        if (_stripNext)
        {
            while (start < stop && PythonText.IsSpace(_source[start]))
            {
                start++;
            }
        }
        else if (_trimNext && _trimBlocks && start < stop && _source[start] == '\n')
        {
            start++;
        }

        if (end < _source.Length)
        {
            char mark = end + 2 < _source.Length ? _source[end + 2] : '\0';
            if (mark == '-')
            {
                while (stop > start && PythonText.IsSpace(_source[stop - 1]))
                {
                    stop--;
                }
            }
            else if (_trimBlocks && _source[end + 1] != '{' && mark != '+')
            {
                stop = StripLineStart(start, stop);
            }
        }

        if (stop > start)
        {
            _tokens.Add(new Token(TokenType.Text, _source[start..stop], _line));
        }

        Advance(end);
        _stripNext = _trimNext = false;
    }

    // lstrip_blocks: white space between the line's start and the tag goes.
    private int StripLineStart(int start, int stop)
    {
        int at = stop;
        while (at > start && PythonText.IsSpace(_source[at - 1]) && _source[at - 1] != '\n')
        {
            at--;
        }

        return at == 0 || _source[at - 1] == '\n' ? at : stop;
    }

    private void SkipComment(int line)
    {
        int end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0)
        {
            throw Fail(line, "a comment is not closed");
        }

        char mark = end > _at ? _source[end - 1] : '\0';
        Advance(end + 2);
        _stripNext = mark == '-';
        _trimNext = mark != '+';
    }

    private void ReadTag(bool block, int line)
    {
        string close = block ? "%}" : "}}";
        _tokens.Add(new Token(block ? TokenType.BlockStart : TokenType.PrintStart, "", line));
        int nesting = 0;
        while (true)
        {
            while (_at < _source.Length && PythonText.IsSpace(_source[_at]))
            {
                Advance(_at + 1);
            }

            if (_at >= _source.Length)
            {
                throw Fail(line, "a tag is not closed");
            }

            // Inside braces of its own, "}}" closes a dictionary in a dictionary.
            if (nesting == 0 || close != "}}")
            {
                int skip = Peek() is '-' or '+' ? 1 : 0;
                if (string.CompareOrdinal(_source, _at + skip, close, 0, 2) == 0)
                {
                    _stripNext = skip == 1 && Peek() == '-';
                    _trimNext = block && !(skip == 1 && Peek() == '+');
                    _at += skip + 2;
                    break;
                }
            }

            ReadToken(ref nesting);
        }

        _tokens.Add(new Token(block ? TokenType.BlockEnd : TokenType.PrintEnd, "", _line));
        if (block)
        {
            SkipRaw();
        }
    }

    private void ReadToken(ref int nesting)
    {
        char c = _source[_at];
        int start = _at;
        if (c is '"' or '\'')
        {
            ReadString(c);
        }
        else if (char.IsLetter(c) || c == '_')
        {
            while (_at < _source.Length && (char.IsLetterOrDigit(_source[_at]) || _source[_at] == '_'))
            {
                _at++;
            }

            _tokens.Add(new Token(TokenType.Name, _source[start.._at], _line));
        }
        else if (char.IsAsciiDigit(c))
        {
            ReadNumber();
        }
        else
        {
            string text = Array.Find(Operators, candidate => string.CompareOrdinal(_source, start, candidate, 0, candidate.Length) == 0)
                ?? throw Fail(_line, $"'{c}' has no meaning in a tag");
            nesting += text is "(" or "[" or "{" ? 1 : text is ")" or "]" or "}" ? -1 : 0;
            _at += text.Length;
            _tokens.Add(new Token(TokenType.Operator, text, _line));
        }
    }

    private void ReadNumber()
    {
        int start = _at;
        bool isFloat = false;
        while (_at < _source.Length)
        {
            char c = _source[_at];
            bool point = c == '.' && !isFloat && _at + 1 < _source.Length && char.IsAsciiDigit(_source[_at + 1])
                && (_tokens[^1].Type != TokenType.Operator || _tokens[^1].Text != ".");
            bool exponent = c is 'e' or 'E' && _at + 1 < _source.Length
                && (char.IsAsciiDigit(_source[_at + 1]) || (_source[_at + 1] is '+' or '-' && _at + 2 < _source.Length && char.IsAsciiDigit(_source[_at + 2])));
            if (!char.IsAsciiDigit(c) && c != '_' && !point && !exponent)
            {
                break;
            }

            isFloat |= point || exponent;
            _at += exponent ? 2 : 1;
        }

        string text = _source[start.._at].Replace("_", "", StringComparison.Ordinal);
        _tokens.Add(new Token(isFloat ? TokenType.Float : TokenType.Integer, text, _line));
    }

    private void ReadString(char quote)
    {
        int line = _line;
        var text = new StringBuilder();
        for (int i = _at + 1; i < _source.Length; i++)
        {
            char c = _source[i];
            if (c == quote)
            {
                Advance(i + 1);
                _tokens.Add(new Token(TokenType.String, text.ToString(), line));
                return;
            }

            if (c == '\\' && i + 1 < _source.Length)
            {
                i += Escape(_source.AsSpan(i + 1), text);
            }
            else
            {
                text.Append(c);
            }
        }

        throw Fail(line, "a string is not closed");
    }

    // Appends what the escape after a backslash means; returns the characters it takes.
    private static int Escape(ReadOnlySpan<char> rest, StringBuilder text)
    {
        int digits = rest[0] switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && rest.Length > digits
            && int.TryParse(rest.Slice(1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            && code is >= 0 and <= 0x10FFFF)
        {
            text.Append(code is >= 0xD800 and <= 0xDFFF ? "\uFFFD" : char.ConvertFromUtf32(code));
            return digits + 1;
        }

        _ = rest[0] switch
        {
            'n' => text.Append('\n'),
            't' => text.Append('\t'),
            'r' => text.Append('\r'),
            'b' => text.Append('\b'),
            'f' => text.Append('\f'),
            'v' => text.Append('\v'),
            'a' => text.Append('\a'),
            '0' => text.Append('\0'),
            '\n' => text,
            '\\' or '\'' or '"' => text.Append(rest[0]),
            _ => text.Append('\\').Append(rest[0]),
        };
        return 1;
    }

    // After "{% raw %}": everything to "{% endraw %}" is text.
    private void SkipRaw()
    {
        if (_tokens.Count < 3 || _tokens[^2] is not { Type: TokenType.Name, Text: "raw" } || _tokens[^3].Type != TokenType.BlockStart)
        {
            return;
        }

        int line = _tokens[^3].Line;
        _tokens.RemoveRange(_tokens.Count - 3, 3);
        _trimNext = false;
        for (int at = _at; (at = _source.IndexOf("{%", at, StringComparison.Ordinal)) >= 0; at += 2)
        {
            int name = at + 2;
            while (name < _source.Length && (PythonText.IsSpace(_source[name]) || _source[name] is '-' or '+'))
            {
                name++;
            }

            int close = _source.IndexOf("%}", name, StringComparison.Ordinal);
            if (close > 0 && _source[name..close].TrimEnd(' ', '\t', '\n', '-', '+') == "endraw")
            {
                ReadText(at);
                _stripNext = _source[close - 1] == '-';
                _trimNext = _source[close - 1] != '+';
                Advance(close + 2);
                return;
            }
        }

        throw Fail(line, "'raw' is not closed");
    }

    private char Peek() => _at < _source.Length ? _source[_at] : '\0';

    private void Advance(int to)
    {
        _line += _source.AsSpan(_at, to - _at).Count('\n');
        _at = to;
    }

    private static ChatTemplateException Fail(int line, string what) => new($"chat template, line {line}: {what}");
}
