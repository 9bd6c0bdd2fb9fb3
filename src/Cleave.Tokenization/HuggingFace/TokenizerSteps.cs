using System.Text.Json;
using System.Text.RegularExpressions;

namespace Cleave.Tokenization.HuggingFace;

/// <summary>The normalizer and pre-tokenizer of a tokenizer.json, as far as BPE models use them.</summary>
internal sealed class TokenizerSteps(string path)
{
    // What "use_regex" of the byte-level step stands for.
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Space = "\u2581";

    private readonly List<string> _patterns = [];
    private bool _sentencePiece;

    /// <summary>True when text is spelled in bytes.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>True when text is brought to Unicode's form C.</summary>
    public bool FormC { get; private set; }

    /// <summary>True when a space is put before the text.</summary>
    public bool SpacePrefix { get; private set; }

    /// <summary>Expressions that split the text in turn.</summary>
    public IReadOnlyList<string> Patterns => _patterns;

    public void ReadNormalizer(JsonElement root)
    {
        foreach (JsonElement step in Steps(root, "normalizer", "normalizers"))
        {
            switch (Kind(step))
            {
                case "NFC":
                    FormC = true;
                    break;
                case "Prepend" when Text(step, "prepend") == Space:
                    SpacePrefix = true;
                    break;
                case "Replace" when step.TryGetProperty("pattern", out JsonElement pattern) && Text(pattern, "String") == " " && Text(step, "content") == Space:
                    _sentencePiece = true;
                    break;
                default:
                    throw Fail("normalizer", step);
            }
        }
    }

    public void ReadPreTokenizer(JsonElement root)
    {
        foreach (JsonElement step in Steps(root, "pre_tokenizer", "pretokenizers"))
        {
            switch (Kind(step))
            {
                case "ByteLevel":
                    ByteLevel = true;
                    SpacePrefix |= Flag(step, "add_prefix_space");
                    if (Flag(step, "use_regex", fallback: true))
                    {
                        _patterns.Add(Gpt2);
                    }

                    break;
                case "Split" when Text(step, "behavior") is "Isolated" or "Removed" && step.TryGetProperty("pattern", out JsonElement pattern):
                    ReadSplit(step, pattern);
                    break;
                case "Digits":
                    _patterns.Add(Flag(step, "individual_digits") ? @"\p{N}" : @"\p{N}+");
                    break;
                case "Punctuation" when Text(step, "behavior") is null or "Isolated":
                    _patterns.Add(@"[\p{P}$+<=>^`|~]");
                    break;
                case "Punctuation" when Text(step, "behavior") == "Contiguous":
                    _patterns.Add(@"[\p{P}$+<=>^`|~]+");
                    break;
                case "Metaspace" when Text(step, "replacement") == Space && !Flag(step, "split", fallback: false):
                    _sentencePiece = true;
                    SpacePrefix |= Text(step, "prepend_scheme") is "always" or "first" || Flag(step, "add_prefix_space");
                    break;
                default:
                    throw Fail("pre-tokenizer", step);
            }
        }

        if (ByteLevel == _sentencePiece)
        {
            throw new TokenizerFormatException($"{path}: the tokenizer is neither byte-level nor of SentencePiece's kind");
        }
    }

    // An inverted "Removed" keeps the matches and drops what lies between: with expressions that match everything, the same.
    private void ReadSplit(JsonElement step, JsonElement pattern)
    {
        bool inverted = Flag(step, "invert");
        if (inverted != (Text(step, "behavior") == "Removed"))
        {
            throw Fail("pre-tokenizer", step);
        }

        if (Text(pattern, "Regex") is { } regex)
        {
            _patterns.Add(regex);
        }
        else if (Text(pattern, "String") == " " && _sentencePiece)
        {
            // Spaces are spelled otherwise by then, so there is nothing to split at.
        }
        else if (Text(pattern, "String") is { Length: > 0 } text)
        {
            _patterns.Add(Regex.Escape(text));
        }
        else
        {
            throw Fail("pre-tokenizer", step);
        }
    }

    private static IEnumerable<JsonElement> Steps(JsonElement root, string name, string several)
    {
        if (!root.TryGetProperty(name, out JsonElement step) || step.ValueKind != JsonValueKind.Object)
        {
            return [];
        }

        return Kind(step) == "Sequence" && step.TryGetProperty(several, out JsonElement steps) && steps.ValueKind == JsonValueKind.Array
            ? steps.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.Object)
            : [step];
    }

    private static string Kind(JsonElement step) => Text(step, "type") ?? "";

    private static string? Text(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool Flag(JsonElement of, string name, bool fallback = false) =>
        of.TryGetProperty(name, out JsonElement value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : fallback;

    private TokenizerFormatException Fail(string what, JsonElement step)
    {
        string raw = step.GetRawText();
        return new TokenizerFormatException($"{path}: {what} {(raw.Length > 200 ? raw[..200] + "..." : raw)} is not supported");
    }
}
