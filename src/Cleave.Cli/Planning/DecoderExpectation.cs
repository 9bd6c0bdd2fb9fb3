namespace Cleave.Cli.Planning;

/// <summary>
/// What a decoder is expected to bring on a 7B-class model, from published measurements: tokens per round trip, and rows it sends
/// for them. A real text may do much better (copying) or worse.
/// </summary>
/// <param name="Decoder">Decoder name.</param>
/// <param name="TokensPerTrip">Tokens per round trip.</param>
/// <param name="Rows">Rows per round trip.</param>
/// <param name="Source">Where the figure comes from.</param>
internal sealed record DecoderExpectation(string Decoder, double TokensPerTrip, double Rows, string Source)
{
    /// <summary>Expectations, the baseline first.</summary>
    public static IReadOnlyList<DecoderExpectation> All { get; } =
    [
        new("sequential", 1, 1, "by definition"),
        new("ngram", 1.23, 5, "arXiv 2602.16760, its n-gram sweep at n = 5"),
        new("jacobi", 1.05, 17, "Fu et al. 2024: what plain Jacobi iteration brings on 7B chat"),
        new("lookahead", 1.65, 49, "Fu et al. 2024, 7B chat"),
        new("suffix", 1.74, 8, "prompt lookup on 7B chat; more where text repeats"),
        new("draft", 2.3, 8, "a small draft model's chain on 7B chat"),
        new("pipelined", 2.3, 8, "as draft: what frames sent ahead add depends on the text, so nothing is assumed"),
    ];
}
