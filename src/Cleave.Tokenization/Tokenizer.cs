using System.Text;
using Cleave.Tokenization.Bpe;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Tokenization;

/// <summary>Text to token ids and back. Immutable; used by any number of threads.</summary>
public abstract class Tokenizer
{
    // Names under which chat models end a turn, where the file's own fields name only the end of the sequence.
    private static readonly string[] TurnEnds = ["<|end|>", "<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end_of_turn|>", "<|eom_id|>"];

    private readonly SpecialTokenTrie _special = new();
    private readonly Dictionary<string, int> _specialIds = new(StringComparer.Ordinal);
    private readonly TokenKind[] _kinds;
    private readonly HashSet<int> _endIds = [];

    /// <exception cref="TokenizerFormatException">An id, a type or an array's length is wrong.</exception>
    private protected Tokenizer(TokenizerDefinition definition)
    {
        Definition = definition;
        int count = definition.Tokens.Count;
        if (count == 0)
        {
            throw new TokenizerFormatException($"{definition.Source}: the vocabulary is empty");
        }

        _kinds = Kinds(definition);
        BosId = CheckId(definition.BosId, "BOS");
        AddBos = BosId is not null && (definition.AddBos ?? AddsBosByCustom(definition));
        for (int id = 0; id < count; id++)
        {
            string token = definition.Tokens[id];
            if (_kinds[id] is TokenKind.Control or TokenKind.UserDefined && token.Length > 0 && _specialIds.TryAdd(token, id))
            {
                _special.Add(token, id, always: _kinds[id] == TokenKind.UserDefined);
            }
        }

        foreach (int? id in (ReadOnlySpan<int?>)[CheckId(definition.EosId, "EOS"), CheckId(definition.EndOfTurnId, "end-of-turn")])
        {
            if (id is { } end)
            {
                _endIds.Add(end);
            }
        }

        foreach (string name in TurnEnds)
        {
            if (_specialIds.TryGetValue(name, out int id) && _kinds[id] == TokenKind.Control)
            {
                _endIds.Add(id);
            }
        }
    }

    /// <summary>Token ids in the vocabulary: 0 up to but not including this.</summary>
    public int VocabularySize => _kinds.Length;

    /// <summary>Beginning of sequence, if the model has one.</summary>
    public int? BosId { get; }

    /// <summary>True when a prompt should start with <see cref="BosId"/>.</summary>
    public bool AddBos { get; }

    /// <summary>Ids that end a turn or the text.</summary>
    public IReadOnlySet<int> EndIds => _endIds;

    /// <summary>The data this tokenizer was made of.</summary>
    public TokenizerDefinition Definition { get; }

    /// <summary>Makes the tokenizer a definition describes.</summary>
    /// <exception cref="TokenizerFormatException">The data is malformed or of a kind that is not supported.</exception>
    public static Tokenizer Create(TokenizerDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        return definition.Model switch
        {
            "gpt2" => new ByteLevelBpe(definition),
            _ => throw new TokenizerFormatException($"{definition.Source}: tokenizer model '{definition.Model}' is not supported; supported: gpt2"),
        };
    }

    /// <summary>True when generation stops at this id.</summary>
    public bool IsEndOfTurn(int id) => _endIds.Contains(id);

    /// <summary>What a token is.</summary>
    public TokenKind KindOf(int id) => _kinds[id];

    /// <summary>The id of a control or user-defined token by its text, such as "&lt;|end|&gt;".</summary>
    public bool TryGetSpecial(string text, out int id) => _specialIds.TryGetValue(text, out id);

    /// <summary>
    /// The ids of a text, without BOS. With <paramref name="parseSpecial"/>, text that spells a control token becomes that
    /// token; without, it is data like any other.
    /// </summary>
    public int[] Encode(string text, bool parseSpecial)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Encode(text, parseSpecial, []);
    }

    /// <summary>
    /// The ids a rendered conversation is prompted with: control tokens come from the template's own text alone, and the
    /// BOS goes first where the model wants one and the template wrote none.
    /// </summary>
    public int[] EncodePrompt(RenderedPrompt prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        int[] ids = Encode(prompt.Text, parseSpecial: true, prompt.Data);
        return AddBos && (ids.Length == 0 || ids[0] != BosId) ? [BosId!.Value, .. ids] : ids;
    }

    /// <summary>The text of ids. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Ids in the vocabulary.</param>
    /// <param name="showControl">False to leave control tokens out.</param>
    public string Decode(IEnumerable<int> ids, bool showControl = true)
    {
        ArgumentNullException.ThrowIfNull(ids);
        using var bytes = new MemoryStream();
        foreach (int id in ids)
        {
            if (showControl || KindOf(id) != TokenKind.Control)
            {
                bytes.Write(TokenBytes(id).Span);
            }
        }

        return FinishDecoding(Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
    }

    /// <summary>The bytes a token stands for; they need not be whole characters.</summary>
    /// <exception cref="ArgumentOutOfRangeException">No such id.</exception>
    public abstract ReadOnlyMemory<byte> TokenBytes(int id);

    /// <summary>A token as text, for showing it; bytes that are no UTF-8 become U+FFFD.</summary>
    public string TokenText(int id) => Encoding.UTF8.GetString(TokenBytes(id).Span);

    /// <summary>Encodes text[start..end], which holds no special token. The whole text is given for its context.</summary>
    private protected abstract void EncodeOrdinary(string text, int start, int end, List<int> ids);

    /// <summary>What decoding takes off a whole text (SentencePiece's first space).</summary>
    private protected virtual string FinishDecoding(string text) => text;

    private int[] Encode(string text, bool parseSpecial, IReadOnlyList<Range> data)
    {
        var ids = new List<int>(text.Length / 3);
        int start = 0;
        int nextData = 0;
        for (int at = 0; at < text.Length;)
        {
            while (nextData < data.Count && data[nextData].End.Value <= at)
            {
                nextData++;
            }

            // A control token ends before the next stretch of data, and none starts inside one.
            int limit = nextData < data.Count ? data[nextData].Start.Value : text.Length;
            if (_special.Match(text, at, parseSpecial ? limit : at) is not (int id, int length))
            {
                at++;
                continue;
            }

            EncodeStretch(text, start, at, ids);
            ids.Add(id);
            at += length;
            start = at;
        }

        EncodeStretch(text, start, text.Length, ids);
        return [.. ids];
    }

    private void EncodeStretch(string text, int start, int end, List<int> ids)
    {
        if (end > start)
        {
            EncodeOrdinary(text, start, end, ids);
        }
    }

    // Where a file does not say: SentencePiece models start with BOS, and so do BPE models with Llama 3's pre-tokenizer.
    private static bool AddsBosByCustom(TokenizerDefinition definition) =>
        definition.Model == "llama" || definition.PreTokenizer is "llama-bpe" or "llama3" or "llama-v3" or "tekken";

    private static TokenKind[] Kinds(TokenizerDefinition definition)
    {
        var kinds = new TokenKind[definition.Tokens.Count];
        Array.Fill(kinds, TokenKind.Normal);
        if (definition.TokenTypes is not { } types)
        {
            return kinds;
        }

        if (types.Count != kinds.Length)
        {
            throw new TokenizerFormatException($"{definition.Source}: {types.Count} token types for {kinds.Length} tokens");
        }

        for (int id = 0; id < kinds.Length; id++)
        {
            kinds[id] = types[id] is >= (int)TokenKind.Normal and <= (int)TokenKind.Byte
                ? (TokenKind)types[id]
                : throw new TokenizerFormatException($"{definition.Source}: token {id} has type {types[id]}; 1 to 6 is expected");
        }

        return kinds;
    }

    private int? CheckId(int? id, string what) =>
        id is null || (id >= 0 && id < VocabularySize)
            ? id
            : throw new TokenizerFormatException($"{Definition.Source}: the {what} id {id} is not in the vocabulary of {VocabularySize}");
}
