namespace Cleave.Cli.Benchmarking;

/// <summary>Sessions at once on one worker, beside one at a time.</summary>
/// <param name="Sessions">Sessions at once.</param>
/// <param name="Decoder">Their decoder.</param>
/// <param name="TokensPerSession">Tokens each made, from a prompt of its own.</param>
/// <param name="AloneTokensPerSecond">One session at a time, over all the prompts.</param>
/// <param name="TokensPerSecond">All sessions together; median of the repetitions.</param>
/// <param name="MiddleMs">Mean of a round trip's time in the worker's passes.</param>
/// <param name="Different">Answers whose tokens differ from the prompt's alone, over all repetitions.</param>
internal sealed record SessionsResult(
    int Sessions, string Decoder, int TokensPerSession, double AloneTokensPerSecond, double TokensPerSecond, double MiddleMs, int Different)
{
    /// <summary>Times the tokens a second of one session.</summary>
    public double Times => TokensPerSecond / AloneTokensPerSecond;
}
