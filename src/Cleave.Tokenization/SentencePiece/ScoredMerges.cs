namespace Cleave.Tokenization.SentencePiece;

/// <summary>SentencePiece's own rule: neighbours merge when together they are a token, the best score first.</summary>
internal sealed class ScoredMerges : IMergeTable
{
    private readonly Dictionary<string, double> _ranks = new(StringComparer.Ordinal);
    private readonly int _longest;

    /// <exception cref="TokenizerFormatException">The scores are missing, too few, or not numbers.</exception>
    public ScoredMerges(TokenizerDefinition definition)
    {
        if (definition.Scores is not { } scores || scores.Count != definition.Tokens.Count)
        {
            throw new TokenizerFormatException(
                $"{definition.Source}: a SentencePiece tokenizer needs a score for each of its {definition.Tokens.Count} tokens; it has {definition.Scores?.Count ?? 0}");
        }

        for (int id = 0; id < scores.Count; id++)
        {
            if (!float.IsFinite(scores[id]))
            {
                throw new TokenizerFormatException($"{definition.Source}: the score of token {id} is {scores[id]}");
            }

            var kind = (TokenKind)(definition.TokenTypes?[id] ?? (int)TokenKind.Normal);
            if (kind is TokenKind.Normal or TokenKind.UserDefined && _ranks.TryAdd(definition.Tokens[id], -scores[id]))
            {
                _longest = Math.Max(_longest, definition.Tokens[id].Length);
            }
        }
    }

    /// <inheritdoc />
    public double? Rank(ReadOnlySpan<char> joined, int leftLength) =>
        joined.Length <= _longest && _ranks.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(joined, out double rank) ? rank : null;
}
