namespace Cleave.Tokenization;

/// <summary>A tokenizer as plain data, wherever it was read from.</summary>
public sealed record TokenizerDefinition
{
    /// <summary>Where it comes from, for messages.</summary>
    public string Source { get; init; } = "tokenizer";

    /// <summary>"gpt2" (byte-level BPE), "llama" (SentencePiece by scores) or "llama-merges" (the same by merges).</summary>
    public required string Model { get; init; }

    /// <summary>Pre-tokenizer by GGUF's name: "llama-bpe", ...</summary>
    public string PreTokenizer { get; init; } = "default";

    /// <summary>Token text by id, spelled as the model kind spells it (byte-level BPE: bytes mapped to printable letters).</summary>
    public required IReadOnlyList<string> Tokens { get; init; }

    /// <summary><see cref="TokenKind"/> by id; null: all normal.</summary>
    public IReadOnlyList<int>? TokenTypes { get; init; }

    /// <summary>Merges "left right", best first.</summary>
    public IReadOnlyList<string>? Merges { get; init; }

    /// <summary>Scores by id (SentencePiece).</summary>
    public IReadOnlyList<float>? Scores { get; init; }

    /// <summary>Beginning of sequence.</summary>
    public int? BosId { get; init; }

    /// <summary>End of sequence.</summary>
    public int? EosId { get; init; }

    /// <summary>End of turn, where it differs.</summary>
    public int? EndOfTurnId { get; init; }

    /// <summary>Stands for text without a token.</summary>
    public int? UnknownId { get; init; }

    /// <summary>True when prompts start with the BOS; null: the model kind's custom.</summary>
    public bool? AddBos { get; init; }

    /// <summary>True when a space is put before the text; null: the model kind's custom.</summary>
    public bool? AddSpacePrefix { get; init; }

    /// <summary>Regular expressions that split text in turn, instead of <see cref="PreTokenizer"/>'s (tokenizer.json).</summary>
    public IReadOnlyList<string>? SplitPatterns { get; init; }

    /// <summary>True when a piece that is a token is taken whole, whatever the merges say; null: the pre-tokenizer's custom.</summary>
    public bool? IgnoreMerges { get; init; }

    /// <summary>True when text is brought to Unicode's form C first (Qwen).</summary>
    public bool NormalizeToFormC { get; init; }

    /// <summary>Tokens with properties of their own, beside those <see cref="TokenTypes"/> tells of.</summary>
    public IReadOnlyList<AddedToken>? AddedTokens { get; init; }

    /// <summary>Jinja source of the chat template.</summary>
    public string? ChatTemplate { get; init; }
}
