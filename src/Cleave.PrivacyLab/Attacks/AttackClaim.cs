namespace Cleave.PrivacyLab.Attacks;

/// <summary>What an attack says of one session.</summary>
public sealed class AttackClaim
{
    /// <summary>Guesses an attack may rank for each row.</summary>
    public const int Ranks = 5;

    private readonly int[] _tokens;

    /// <param name="rows">Rows of the view; 0 for a claim about the session only.</param>
    public AttackClaim(int rows)
    {
        _tokens = new int[rows * Ranks];
        Array.Fill(_tokens, -1);
    }

    /// <summary>For attacks on a property of the session: its class; -1 otherwise.</summary>
    public int Label { get; init; } = -1;

    /// <summary>Tokens guessed for a row, the likeliest first; -1 for no guess.</summary>
    public Span<int> Tokens(int row) => _tokens.AsSpan(row * Ranks, Ranks);

    /// <summary>Claims that <paramref name="token"/> alone is right.</summary>
    public void Claim(int row, int token) => Tokens(row)[0] = token;
}
