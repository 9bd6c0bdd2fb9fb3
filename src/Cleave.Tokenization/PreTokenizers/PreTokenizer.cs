using System.Text.RegularExpressions;

namespace Cleave.Tokenization.PreTokenizers;

/// <summary>
/// Splits text into the pieces that byte-pair merging works within. Each expression in turn splits the pieces so far into
/// its matches and what lies between them.
/// </summary>
internal sealed partial class PreTokenizer
{
    private readonly Regex[] _expressions;

    private PreTokenizer(params Regex[] expressions) => _expressions = expressions;

    /// <summary>True when a piece that is a token as a whole is taken whole, whatever the merges say (Llama 3).</summary>
    public bool IgnoreMerges { get; private init; }

    /// <summary>Names <see cref="Named"/> knows best, for messages.</summary>
    public const string Supported = "gpt-2, llama-bpe, qwen2, tekken, deepseek-llm, deepseek-coder, deepseek-v3, falcon, starcoder, smollm";

    // Expressions from a file run under a limit, for some take exponential time on some texts.
    private static readonly TimeSpan PatternLimit = TimeSpan.FromSeconds(10);

    /// <summary>The pre-tokenizer GGUF files call by a name, or null.</summary>
    public static PreTokenizer? Named(string name) => name switch
    {
        "llama-bpe" or "llama3" or "llama-v3" or "falcon3" or "pixtral" => new PreTokenizer(Llama3()) { IgnoreMerges = true },
        "qwen2" or "deepseek-r1-qwen" or "megrez" or "hunyuan" => new PreTokenizer(Qwen2()),
        "tekken" => new PreTokenizer(Tekken()) { IgnoreMerges = true },
        "gpt-2" or "gpt2" or "phi-2" or "mpt" or "olmo" => new PreTokenizer(Gpt2()),
        "dbrx" or "smaug-bpe" => new PreTokenizer(Llama3()),
        "starcoder" or "smollm" or "refact" or "command-r" or "codeshell" => new PreTokenizer(Digit(), Gpt2()),
        "falcon" => new PreTokenizer(Punctuation(), Gpt2(), ThreeDigits()),
        "deepseek-llm" => new PreTokenizer(LineBreak(), DeepSeekLetters(), DeepSeekSymbols(), EndingSpaces(), DeepSeekHan(), Digits()),
        "deepseek-coder" => new PreTokenizer(LineBreak(), SpacedLetters(), SpacedPunctuation(), DeepSeekHan(), Digit()),
        "deepseek-v3" or "deepseek" or "deepseek-r1" => new PreTokenizer(UpToThreeDigits(), DeepSeek3Han(), DeepSeek3()),
        "default" => new PreTokenizer(Punctuation(), Gpt2(), Digits(), ThreeDigits()),
        _ => null,
    };

    /// <summary>A pre-tokenizer of expressions from a file.</summary>
    /// <exception cref="TokenizerFormatException">An expression is malformed or uses what .NET's lack.</exception>
    public static PreTokenizer Of(IReadOnlyList<string> patterns, string source)
    {
        try
        {
            return new PreTokenizer([.. patterns.Select(pattern => Known(pattern) ?? new Regex(pattern, RegexOptions.CultureInvariant, PatternLimit))]);
        }
        catch (ArgumentException e)
        {
            throw new TokenizerFormatException($"{source}: a pre-tokenizer's expression is not supported: {e.Message}", e);
        }
    }

    // The common expressions, compiled with the assembly; the same text means the same.
    private static Regex? Known(string pattern) => Array.Find([Llama3(), Qwen2(), Gpt2(), Tekken(), DeepSeek3()], regex => regex.ToString() == pattern);

    /// <summary>Adds the pieces of a text, in order and without gaps, as offsets into it.</summary>
    public void Split(string text, List<Range> pieces)
    {
        CodePointText shown = CodePointText.Of(text);
        var current = new List<(int Start, int End)> { (0, shown.Shown.Length) };
        foreach (Regex expression in _expressions)
        {
            var split = new List<(int Start, int End)>(current.Count * 2);
            foreach ((int start, int end) in current)
            {
                Split(expression, shown.Shown.AsSpan(start, end - start), start, split);
            }

            current = split;
        }

        foreach ((int start, int end) in current)
        {
            pieces.Add(shown.Original(start)..shown.Original(end));
        }
    }

    private static void Split(Regex expression, ReadOnlySpan<char> text, int offset, List<(int Start, int End)> split)
    {
        int at = 0;
        foreach (ValueMatch match in expression.EnumerateMatches(text))
        {
            if (match.Length == 0)
            {
                continue;
            }

            if (match.Index > at)
            {
                split.Add((offset + at, offset + match.Index));
            }

            split.Add((offset + match.Index, offset + match.Index + match.Length));
            at = match.Index + match.Length;
        }

        if (at < text.Length)
        {
            split.Add((offset + at, offset + text.Length));
        }
    }

    // The expressions are those of the models' own tokenizer.json files, or of llama.cpp where these spell them differently.
    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Llama3();

    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Qwen2();

    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Gpt2();

    [GeneratedRegex(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Tekken();

    [GeneratedRegex(@"\p{N}", RegexOptions.CultureInvariant)]
    private static partial Regex Digit();

    [GeneratedRegex(@"\p{N}+", RegexOptions.CultureInvariant)]
    private static partial Regex Digits();

    [GeneratedRegex(@"\p{N}{1,3}", RegexOptions.CultureInvariant)]
    private static partial Regex UpToThreeDigits();

    [GeneratedRegex(@"[0-9][0-9][0-9]", RegexOptions.CultureInvariant)]
    private static partial Regex ThreeDigits();

    [GeneratedRegex(@"[\p{P}\$\+<=>\^~\|`]+", RegexOptions.CultureInvariant)]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"[\r\n]", RegexOptions.CultureInvariant)]
    private static partial Regex LineBreak();

    [GeneratedRegex(@"\s?\p{L}+", RegexOptions.CultureInvariant)]
    private static partial Regex SpacedLetters();

    [GeneratedRegex(@"\s?\p{P}+", RegexOptions.CultureInvariant)]
    private static partial Regex SpacedPunctuation();

    [GeneratedRegex(@"\s+$", RegexOptions.CultureInvariant)]
    private static partial Regex EndingSpaces();

    // Letters with case: the list in the model's own file is that of \p{Lu}\p{Ll}\p{Lt} of its Unicode version.
    [GeneratedRegex(@"\s?[\p{Lu}\p{Ll}\p{Lt}]+", RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeekLetters();

    [GeneratedRegex(@"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+", RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeekSymbols();

    [GeneratedRegex(@"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeekHan();

    [GeneratedRegex(@"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+", RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeek3Han();

    [GeneratedRegex(@"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeek3();
}
