namespace Cleave.Tokenization.SentencePiece;

/// <summary>Which neighbouring symbols merge, and in which order.</summary>
internal interface IMergeTable
{
    /// <summary>The rank of joining two neighbours (lower first), or null when they do not merge.</summary>
    /// <param name="joined">The letters of both.</param>
    /// <param name="leftLength">How many of them are the left one's.</param>
    double? Rank(ReadOnlySpan<char> joined, int leftLength);
}
