namespace Cleave.Tokenization.SentencePiece;

/// <summary>The rule of tokenizer.json: the pairs that merge are listed, best first.</summary>
internal sealed class RankedMerges : IMergeTable
{
    // "left right" -> rank; a space cannot occur in a token here, for it is spelled U+2581.
    private readonly Dictionary<string, int> _ranks = new(StringComparer.Ordinal);
    private readonly int _longest;

    /// <exception cref="TokenizerFormatException">A merge is malformed or makes what is no token.</exception>
    public RankedMerges(TokenizerDefinition definition)
    {
        var tokens = new HashSet<string>(definition.Tokens, StringComparer.Ordinal);
        IReadOnlyList<string> merges = definition.Merges
            ?? throw new TokenizerFormatException($"{definition.Source}: the tokenizer needs merges and has none");
        for (int rank = 0; rank < merges.Count; rank++)
        {
            int space = merges[rank].IndexOf(' ', StringComparison.Ordinal);
            string joined = merges[rank].Replace(" ", "", StringComparison.Ordinal);
            if (space <= 0 || joined.Length != merges[rank].Length - 1 || space == joined.Length || !tokens.Contains(joined))
            {
                throw new TokenizerFormatException($"{definition.Source}: merge {rank} '{merges[rank]}' is not two tokens that make a third");
            }

            _ranks.TryAdd(merges[rank], rank);
            _longest = Math.Max(_longest, joined.Length);
        }
    }

    /// <inheritdoc />
    public double? Rank(ReadOnlySpan<char> joined, int leftLength)
    {
        if (joined.Length > _longest || joined.Length > 512)
        {
            return null;
        }

        Span<char> key = stackalloc char[joined.Length + 1];
        joined[..leftLength].CopyTo(key);
        key[leftLength] = ' ';
        joined[leftLength..].CopyTo(key[(leftLength + 1)..]);
        return _ranks.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(key, out int rank) ? rank : null;
    }
}
