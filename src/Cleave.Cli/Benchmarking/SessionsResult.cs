using Cleave.Cli.Reports;

namespace Cleave.Cli.Benchmarking;

/// <summary>Sessions at once on one worker, beside one at a time.</summary>
/// <param name="Sessions">Sessions at once.</param>
/// <param name="Decoder">Their decoder.</param>
/// <param name="TokensPerSession">Tokens each made, from a prompt of its own.</param>
/// <param name="AloneTokensPerSecond">One session at a time, over all the prompts.</param>
/// <param name="TokensPerSecondRuns">All sessions together, each repetition.</param>
/// <param name="AloneTripMs">Mean parts of a round trip, one session at a time.</param>
/// <param name="TripMs">The same, all together: head and tail are passes shared with others, the middle includes waiting for a pass.</param>
/// <param name="Different">Answers whose tokens differ from the prompt's alone, over all repetitions.</param>
internal sealed record SessionsResult(
    int Sessions, string Decoder, int TokensPerSession, double AloneTokensPerSecond, IReadOnlyList<double> TokensPerSecondRuns, TimingReport AloneTripMs, TimingReport TripMs, int Different)
{
    /// <summary>Median of the repetitions.</summary>
    public double TokensPerSecond { get; } = TokensPerSecondRuns.Order().ElementAt(TokensPerSecondRuns.Count / 2);

    /// <summary>Times the tokens a second of one session.</summary>
    public double Times => TokensPerSecond / AloneTokensPerSecond;

    /// <summary>The same of the slowest repetition.</summary>
    public double LeastTimes => TokensPerSecondRuns.Min() / AloneTokensPerSecond;
}
