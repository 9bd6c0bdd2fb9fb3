using System.Globalization;
using System.Text;

namespace Cleave.Tokenization.SentencePiece;

/// <summary>
/// SentencePiece BPE (Kudo and Richardson 2018, arXiv 1808.06226; GGUF model "llama"): spaces are spelled U+2581, characters
/// merge best first and leftmost among equals, what is no token then is spelled in bytes. n log n, by a heap.
/// </summary>
internal sealed class SentencePieceTokenizer : Tokenizer
{
    private const char Space = '\u2581';

    private readonly IMergeTable _merges;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly int[] _byteIds = new int[256];
    private readonly ReadOnlyMemory<byte>[] _bytes;
    private readonly bool _spacePrefix;

    /// <exception cref="TokenizerFormatException">A byte token is misspelled.</exception>
    public SentencePieceTokenizer(TokenizerDefinition definition, IMergeTable merges)
        : base(definition)
    {
        _merges = merges;
        _spacePrefix = definition.AddSpacePrefix ?? true;
        _bytes = new ReadOnlyMemory<byte>[VocabularySize];
        Array.Fill(_byteIds, -1);
        for (int id = 0; id < VocabularySize; id++)
        {
            string token = definition.Tokens[id];
            if (KindOf(id) == TokenKind.Byte)
            {
                byte value = ParseByte(definition, id, token);
                _byteIds[value] = id;
                _bytes[id] = new[] { value };
                continue;
            }

            if (KindOf(id) is TokenKind.Normal or TokenKind.UserDefined)
            {
                _ids.TryAdd(token, id);
            }

            _bytes[id] = Encoding.UTF8.GetBytes(KindOf(id) == TokenKind.Control ? token : token.Replace(Space, ' '));
        }
    }

    /// <inheritdoc />
    public override ReadOnlyMemory<byte> TokenBytes(int id) =>
        id >= 0 && id < _bytes.Length
            ? _bytes[id]
            : throw new ArgumentOutOfRangeException(nameof(id), id, $"the vocabulary has {_bytes.Length} tokens");

    private protected override string FinishDecoding(string text) => _spacePrefix && text.StartsWith(' ') ? text[1..] : text;

    private protected override void EncodeOrdinary(string text, List<int> ids)
    {
        string spelled = ((_spacePrefix ? " " : "") + text).Replace(' ', Space);

        // 1. One symbol for each character: where it starts and how long it is.
        var starts = new List<int>(spelled.Length);
        for (int i = 0; i < spelled.Length; i += char.IsHighSurrogate(spelled[i]) ? 2 : 1)
        {
            starts.Add(i);
        }

        int count = starts.Count;
        var length = new int[count];
        var next = new int[count];
        var previous = new int[count];
        for (int i = 0; i < count; i++)
        {
            length[i] = (i + 1 < count ? starts[i + 1] : spelled.Length) - starts[i];
            next[i] = i + 1;
            previous[i] = i - 1;
        }

        // 2. Merge. A pair whose sides have changed since it was offered is stale.
        var heap = new PriorityQueue<(int Left, int Right, int Length), (double Rank, int Left)>();
        for (int i = 0; i + 1 < count; i++)
        {
            Offer(i, i + 1);
        }

        while (heap.TryDequeue(out (int Left, int Right, int Length) pair, out _))
        {
            if (length[pair.Left] == 0 || length[pair.Right] == 0 || length[pair.Left] + length[pair.Right] != pair.Length || next[pair.Left] != pair.Right)
            {
                continue;
            }

            length[pair.Left] = pair.Length;
            length[pair.Right] = 0;
            int after = next[pair.Right];
            next[pair.Left] = after;
            if (after < count)
            {
                previous[after] = pair.Left;
                Offer(pair.Left, after);
            }

            if (previous[pair.Left] >= 0)
            {
                Offer(previous[pair.Left], pair.Left);
            }
        }

        // 3. Ids; bytes for what is no token.
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        for (int i = 0; i < count; i = next[i])
        {
            ReadOnlySpan<char> symbol = spelled.AsSpan(starts[i], length[i]);
            if (lookup.TryGetValue(symbol, out int id))
            {
                ids.Add(id);
            }
            else
            {
                Spell(symbol, ids);
            }
        }

        void Offer(int left, int right)
        {
            int joined = length[left] + length[right];
            if (_merges.Rank(spelled.AsSpan(starts[left], joined), length[left]) is { } rank)
            {
                heap.Enqueue((left, right, joined), (rank, left));
            }
        }
    }

    private void Spell(ReadOnlySpan<char> symbol, List<int> ids)
    {
        Span<byte> bytes = stackalloc byte[Encoding.UTF8.GetMaxByteCount(symbol.Length)];
        bytes = bytes[..Encoding.UTF8.GetBytes(symbol, bytes)];
        foreach (byte value in bytes)
        {
            if (_byteIds[value] < 0)
            {
                if (Definition.UnknownId is { } unknown)
                {
                    ids.Add(unknown);
                }

                return;
            }
        }

        foreach (byte value in bytes)
        {
            ids.Add(_byteIds[value]);
        }
    }

    private static byte ParseByte(TokenizerDefinition definition, int id, string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
                ? value
                : throw new TokenizerFormatException($"{definition.Source}: byte token {id} is spelled '{token}'; <0xNN> is expected");
}
