using System.Text;
using Microsoft.ML.Tokenizers;
using PreTokenizer = Cleave.Tokenization.PreTokenizers.PreTokenizer;

namespace Cleave.Tokenization.Bpe;

/// <summary>
/// Byte-level byte-pair encoding (GPT-2's scheme, GGUF model "gpt2"). Pieces are merged by Microsoft.ML.Tokenizers, whose
/// time is quadratic in a piece's length; pieces past <see cref="LongPiece"/> go through <see cref="MergeLoop"/>, which gives
/// the same ids in n log n.
/// </summary>
internal sealed class ByteLevelBpe : Tokenizer
{
    /// <summary>Letters from which on a piece is merged by our own loop. No word is as long.</summary>
    internal const int LongPiece = 256;

    private readonly PreTokenizer _preTokenizer;
    private readonly bool _ignoreMerges;
    private readonly BpeTokenizer _library;
    private readonly Dictionary<string, int> _mergeable;
    private readonly ReadOnlyMemory<byte>[] _bytes;
    private readonly Lazy<Dictionary<(int Left, int Right), (int Rank, int Merged)>> _merges;

    /// <exception cref="TokenizerFormatException">The merges do not fit the vocabulary, or the pre-tokenizer is unknown.</exception>
    public ByteLevelBpe(TokenizerDefinition definition)
        : base(definition)
    {
        _preTokenizer = definition.SplitPatterns is { } patterns
            ? PreTokenizer.Of(patterns, definition.Source)
            : PreTokenizer.Named(definition.PreTokenizer) ?? throw new TokenizerFormatException(
                $"{definition.Source}: pre-tokenizer '{definition.PreTokenizer}' is not supported; supported: {PreTokenizer.Supported}");
        _ignoreMerges = definition.IgnoreMerges ?? _preTokenizer.IgnoreMerges;
        _mergeable = MergeableTokens();
        IReadOnlyList<string> merges = definition.Merges
            ?? throw new TokenizerFormatException($"{definition.Source}: a byte-level BPE tokenizer needs merges and has none");
        CheckMerges(merges);
        _library = BpeTokenizer.Create(new BpeOptions(_mergeable) { Merges = merges, ByteLevel = true });
        _merges = new(() => RankMerges(merges));
        _bytes = new ReadOnlyMemory<byte>[VocabularySize];
        for (int id = 0; id < _bytes.Length; id++)
        {
            _bytes[id] = Spell(definition.Tokens[id], KindOf(id));
        }
    }

    /// <inheritdoc />
    public override ReadOnlyMemory<byte> TokenBytes(int id) =>
        id >= 0 && id < _bytes.Length
            ? _bytes[id]
            : throw new ArgumentOutOfRangeException(nameof(id), id, $"the vocabulary has {_bytes.Length} tokens");

    private protected override void EncodeOrdinary(string text, List<int> ids)
    {
        string stretch = Definition.AddSpacePrefix == true && text[0] != ' ' ? " " + text : text;
        var pieces = new List<Range>();
        _preTokenizer.Split(stretch, pieces);
        foreach (Range piece in pieces)
        {
            EncodePiece(stretch.AsSpan(piece), ids);
        }
    }

    /// <summary>Merges one piece by <see cref="MergeLoop"/>.</summary>
    internal void EncodeByLoop(ReadOnlySpan<char> piece, List<int> ids)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        var symbols = new List<int>(bytes.Length);
        foreach (byte b in bytes)
        {
            // A byte without a token is left out, as in the library.
            if (_mergeable.TryGetValue(ByteLetters.LetterOf(b).ToString(), out int id))
            {
                symbols.Add(id);
            }
        }

        Dictionary<(int, int), (int Rank, int Merged)> merges = _merges.Value;
        MergeLoop.Run(
            System.Runtime.InteropServices.CollectionsMarshal.AsSpan(symbols),
            (int left, int right, out double rank, out int merged) =>
            {
                bool found = merges.TryGetValue((left, right), out (int Rank, int Merged) merge);
                (rank, merged) = merge;
                return found;
            },
            ids);
    }

    /// <summary>Merges one piece by the library.</summary>
    internal void EncodeByLibrary(ReadOnlySpan<char> piece, List<int> ids) =>
        ids.AddRange(_library.EncodeToIds(piece, considerPreTokenization: false, considerNormalization: false));

    private static byte[] Spell(string token, TokenKind kind)
    {
        if (kind is TokenKind.Normal or TokenKind.Byte or TokenKind.Unused)
        {
            var bytes = new byte[token.Length];
            int length = 0;
            foreach (char letter in token)
            {
                int value = ByteLetters.ByteOf(letter);
                if (value < 0)
                {
                    return Encoding.UTF8.GetBytes(token);
                }

                bytes[length++] = (byte)value;
            }

            return bytes;
        }

        // Control and user-defined tokens are spelled as text.
        return Encoding.UTF8.GetBytes(token);
    }

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (_ignoreMerges && piece.Length <= LongPiece && TryWhole(piece, out int id))
        {
            ids.Add(id);
        }
        else if (piece.Length <= LongPiece)
        {
            EncodeByLibrary(piece, ids);
        }
        else
        {
            EncodeByLoop(piece, ids);
        }
    }

    private bool TryWhole(ReadOnlySpan<char> piece, out int id)
    {
        Span<byte> bytes = stackalloc byte[3 * LongPiece];
        bytes = bytes[..Encoding.UTF8.GetBytes(piece, bytes)];
        Span<char> letters = stackalloc char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            letters[i] = ByteLetters.LetterOf(bytes[i]);
        }

        return _mergeable.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(letters, out id);
    }

    // Control tokens stay out, so that no text can be merged into one.
    private Dictionary<string, int> MergeableTokens()
    {
        var tokens = new Dictionary<string, int>(VocabularySize, StringComparer.Ordinal);
        for (int id = 0; id < VocabularySize; id++)
        {
            if (KindOf(id) is not (TokenKind.Control or TokenKind.Unknown))
            {
                tokens.TryAdd(Definition.Tokens[id], id);
            }
        }

        return tokens;
    }

    private void CheckMerges(IReadOnlyList<string> merges)
    {
        for (int rank = 0; rank < merges.Count; rank++)
        {
            (string left, string right) = SplitMerge(merges[rank], rank);
            foreach (string token in (ReadOnlySpan<string>)[left, right, left + right])
            {
                if (!_mergeable.ContainsKey(token))
                {
                    throw new TokenizerFormatException(
                        $"{Definition.Source}: merge {rank} '{merges[rank]}' needs token '{token}', which the vocabulary lacks");
                }
            }
        }
    }

    private Dictionary<(int Left, int Right), (int Rank, int Merged)> RankMerges(IReadOnlyList<string> merges)
    {
        var ranks = new Dictionary<(int, int), (int, int)>(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++)
        {
            (string left, string right) = SplitMerge(merges[rank], rank);
            ranks.TryAdd((_mergeable[left], _mergeable[right]), (rank, _mergeable[left + right]));
        }

        return ranks;
    }

    private (string Left, string Right) SplitMerge(string merge, int rank)
    {
        int space = merge.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && space < merge.Length - 1 && merge.IndexOf(' ', space + 1) < 0
            ? (merge[..space], merge[(space + 1)..])
            : throw new TokenizerFormatException($"{Definition.Source}: merge {rank} '{merge}' is not two tokens with a space between");
    }
}
