namespace Cleave.Models.Gguf;

/// <summary>The tokenizer a GGUF file carries, as stored ("tokenizer.ggml.*"); read only when asked for.</summary>
public sealed record GgufTokenizer
{
    /// <summary>"gpt2" (byte-level BPE), "llama" (SentencePiece), ...</summary>
    public required string Model { get; init; }

    /// <summary>Pre-tokenizer: "llama-bpe", "qwen2", ...; "default" when the file names none.</summary>
    public required string PreTokenizer { get; init; }

    /// <summary>Token text by id.</summary>
    public required string[] Tokens { get; init; }

    /// <summary>Token type by id (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte); null when the file has none.</summary>
    public int[]? TokenTypes { get; init; }

    /// <summary>Merges "left right", best first; null for models without.</summary>
    public string[]? Merges { get; init; }

    /// <summary>Score by id; null for models without.</summary>
    public float[]? Scores { get; init; }

    /// <summary>Beginning of sequence.</summary>
    public int? BosId { get; init; }

    /// <summary>End of sequence.</summary>
    public int? EosId { get; init; }

    /// <summary>End of turn, where it differs from the end of sequence.</summary>
    public int? EndOfTurnId { get; init; }

    /// <summary>Stands for what has no token.</summary>
    public int? UnknownId { get; init; }

    /// <summary>True when prompts start with <see cref="BosId"/>; null when the file does not say.</summary>
    public bool? AddBos { get; init; }

    /// <summary>True when SentencePiece puts a space before the text; null when the file does not say.</summary>
    public bool? AddSpacePrefix { get; init; }

    /// <summary>Jinja source of the chat template, if the file has one.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Reads the tokenizer of a file, or null when it has none (a middle-only file).</summary>
    /// <exception cref="ModelFormatException">An array is missing, of the wrong type or length; an id is not in the vocabulary.</exception>
    public static GgufTokenizer? Read(GgufMetadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        if (metadata.String("tokenizer.ggml.model") is not { } model)
        {
            return null;
        }

        string[] tokens = metadata.Strings("tokenizer.ggml.tokens")
            ?? throw new ModelFormatException($"{metadata.Path}: metadata lacks 'tokenizer.ggml.tokens'");
        return new GgufTokenizer
        {
            Model = model,
            PreTokenizer = metadata.String("tokenizer.ggml.pre") ?? "default",
            Tokens = tokens,
            TokenTypes = PerToken(metadata, "tokenizer.ggml.token_type", metadata.Integers("tokenizer.ggml.token_type"), tokens.Length),
            Merges = metadata.Strings("tokenizer.ggml.merges"),
            Scores = PerToken(metadata, "tokenizer.ggml.scores", metadata.Numbers("tokenizer.ggml.scores"), tokens.Length),
            BosId = Id(metadata, "tokenizer.ggml.bos_token_id", tokens.Length),
            EosId = Id(metadata, "tokenizer.ggml.eos_token_id", tokens.Length),
            EndOfTurnId = Id(metadata, "tokenizer.ggml.eot_token_id", tokens.Length),
            UnknownId = Id(metadata, "tokenizer.ggml.unknown_token_id", tokens.Length),
            AddBos = metadata.Boolean("tokenizer.ggml.add_bos_token"),
            AddSpacePrefix = metadata.Boolean("tokenizer.ggml.add_space_prefix"),
            ChatTemplate = metadata.String("tokenizer.chat_template"),
        };
    }

    private static T[]? PerToken<T>(GgufMetadata metadata, string key, T[]? values, int tokens) =>
        values is null || values.Length == tokens
            ? values
            : throw new ModelFormatException($"{metadata.Path}: '{key}' has {values.Length} elements for {tokens} tokens");

    private static int? Id(GgufMetadata metadata, string key, int tokens) => metadata.Integer(key) switch
    {
        null => null,
        // Converters write -1 for "none", in 32 bits without sign.
        -1 or uint.MaxValue => null,
        >= 0 and long id when id < tokens => (int)id,
        long id => throw new ModelFormatException($"{metadata.Path}: '{key}' is {id}, past the vocabulary of {tokens}"),
    };
}
