using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Sessions;

namespace Cleave.Cli.Demonstration;

/// <summary>Sums over the answers of one decoder.</summary>
internal sealed class DecoderTotals(string decoder)
{
    private readonly List<Answer> _answers = [];

    /// <summary>Its name.</summary>
    public string Decoder => decoder;

    /// <summary>Its answers, in order.</summary>
    public IReadOnlyList<Answer> Answers => _answers;

    /// <summary>Tokens generated.</summary>
    public int Tokens => _answers.Sum(static a => a.Tokens.Count);

    /// <summary>Decoding round trips.</summary>
    public int RoundTrips => _answers.Sum(static a => a.Statistics.RoundTrips);

    /// <summary>Tokens per decoding round trip.</summary>
    public double TokensPerRoundTrip => (double)Tokens / Math.Max(1, RoundTrips);

    /// <summary>Tokens per second over the time from each answer's first token to its last.</summary>
    public double TokensPerSecond
    {
        get
        {
            double milliseconds = _answers.Sum(static a => a.Statistics.DecodeMs);
            int tokens = _answers.Sum(static a => a.Tokens.Count - (a.Statistics.Steps is [var first, ..] ? Math.Min(a.Tokens.Count, first.Tokens) : 0));
            return milliseconds <= 0 ? 0 : 1000 * tokens / milliseconds;
        }
    }

    /// <summary>Mean time to the first token.</summary>
    public double TimeToFirstTokenMs => _answers.Average(static a => a.Statistics.TimeToFirstTokenMs);

    /// <summary>Adds an answer.</summary>
    public void Add(Answer answer) => _answers.Add(answer);

    /// <summary>Milliseconds of one kind per token, prompts included.</summary>
    public double PerToken(Func<SessionTimings, double> kind) => _answers.Sum(a => kind(a.Statistics.Timings)) / Math.Max(1, Tokens);

    /// <summary>Bytes per token, prompts included.</summary>
    public double BytesPerToken(Func<GenerationStatistics, long> bytes) => (double)_answers.Sum(a => bytes(a.Statistics)) / Math.Max(1, Tokens);
}
