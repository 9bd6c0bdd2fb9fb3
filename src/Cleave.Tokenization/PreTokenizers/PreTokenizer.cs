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

    /// <summary>The pre-tokenizer GGUF files call by a name, or null.</summary>
    public static PreTokenizer? Named(string name) => name switch
    {
        "llama-bpe" or "llama3" or "llama-v3" => new PreTokenizer(Llama3()) { IgnoreMerges = true },
        _ => null,
    };

    /// <summary>Names <see cref="Named"/> knows, for messages.</summary>
    public const string Supported = "llama-bpe";

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

    // The expressions are those of the models' own tokenizer.json files.
    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Llama3();
}
