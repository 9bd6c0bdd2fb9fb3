using Cleave.Cli.Reports;
using Cleave.Cli.Running;

namespace Cleave.Cli.Benchmarking;

/// <summary>A cell's result: its answers summed.</summary>
internal sealed record BenchRun
{
    public required string Decoder { get; init; }
    public required string Kind { get; init; }
    public int NgramSize { get; init; }
    public double Temperature { get; init; }
    public required double RttMs { get; init; }
    public required double UpMbit { get; init; }
    public required double DownMbit { get; init; }
    public required double MeasuredRttMs { get; init; }
    public required int Prompts { get; init; }
    public required int Tokens { get; init; }
    public required int RoundTrips { get; init; }

    /// <summary>Tokens after each answer's first round trip, over the time from its first token to its last; of whole answers where all came with the first.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>The same of every repetition; this object is the one in the middle.</summary>
    public IReadOnlyList<double> TokensPerSecondRuns { get; init; } = [];

    /// <summary>All tokens over all time from sending the prompt to the last token: what a user waits, first round trips included.</summary>
    public required double AnswerTokensPerSecond { get; init; }

    public required double TokensPerRoundTrip { get; init; }
    public required double TokensPerRoundTripP50 { get; init; }
    public required int TokensPerRoundTripMax { get; init; }

    /// <summary>Draft tokens accepted, of those sent.</summary>
    public required double Acceptance { get; init; }

    /// <summary>Round trips that carried any draft.</summary>
    public required double MatchRate { get; init; }

    public required double RowsPerToken { get; init; }
    public required double DraftMsPerToken { get; init; }
    public required double BytesUpPerToken { get; init; }
    public required double BytesDownPerToken { get; init; }
    public required double TimeToFirstTokenMs { get; init; }

    /// <summary>Sums over all answers, prompts included.</summary>
    public required TimingReport TimingMs { get; init; }

    /// <summary>True when every token equals sequential decoding's.</summary>
    public required bool Identical { get; init; }

    /// <summary>Tokens of every round trip, for the distribution.</summary>
    public required IReadOnlyList<int> StepTokens { get; init; }

    /// <summary>The median of a cell's repetitions by speed; identical only if all of them are.</summary>
    public static BenchRun MedianOf(IReadOnlyList<BenchRun> repetitions)
    {
        BenchRun[] sorted = [.. repetitions.OrderBy(static r => r.TokensPerSecond)];
        return sorted[sorted.Length / 2] with
        {
            TokensPerSecondRuns = [.. repetitions.Select(static r => r.TokensPerSecond)],
            Identical = repetitions.All(static r => r.Identical),
        };
    }

    /// <summary>Sums the answers of a cell.</summary>
    public static BenchRun From(BenchCell cell, IReadOnlyList<Answer> answers, bool identical)
    {
        int tokens = answers.Sum(static a => a.Tokens.Count);
        int trips = Math.Max(1, answers.Sum(static a => a.Statistics.RoundTrips));
        var steps = answers.SelectMany(static a => a.Statistics.Steps).ToList();
        int[] perStep = [.. steps.Select(static s => s.Tokens)];
        int[] sorted = [.. perStep.Order()];
        double decodeMs = answers.Sum(static a => a.Statistics.DecodeMs);
        int timed = answers.Sum(static a => a.Tokens.Count - (a.Statistics.Steps is [var first, ..] ? Math.Min(a.Tokens.Count, first.Tokens) : 0));
        long proposed = answers.Sum(static a => a.Statistics.Proposed);
        double answerSpeed = tokens * 1000 / Math.Max(1e-3, answers.Sum(static a => a.Statistics.TimeToFirstTokenMs + a.Statistics.DecodeMs));
        double perToken = 1.0 / Math.Max(1, tokens);
        return new BenchRun
        {
            Decoder = cell.Decoder,
            Kind = cell.Kind,
            NgramSize = cell.NgramSize,
            Temperature = cell.Sampling.Temperature,
            RttMs = cell.Link.RttMs,
            UpMbit = cell.Link.UpMbit,
            DownMbit = cell.Link.DownMbit,
            MeasuredRttMs = answers.Average(static a => a.RttMs),
            Prompts = answers.Count,
            Tokens = tokens,
            RoundTrips = trips,
            TokensPerSecond = timed > 0 && decodeMs > 0 ? timed * 1000 / decodeMs : answerSpeed,
            AnswerTokensPerSecond = answerSpeed,
            TokensPerRoundTrip = (double)tokens / trips,
            TokensPerRoundTripP50 = sorted.Length == 0 ? 0 : sorted[sorted.Length / 2],
            TokensPerRoundTripMax = sorted.Length == 0 ? 0 : sorted[^1],
            Acceptance = proposed == 0 ? 0 : (double)answers.Sum(static a => a.Statistics.Accepted) / proposed,
            MatchRate = steps.Count == 0 ? 0 : (double)steps.Count(static s => s.Rows > 1) / steps.Count,
            RowsPerToken = steps.Sum(static s => s.Rows) * perToken,
            DraftMsPerToken = answers.Sum(static a => a.Statistics.Timings.DraftMs) * perToken,
            BytesUpPerToken = answers.Sum(static a => a.Statistics.BytesUp) * perToken,
            BytesDownPerToken = answers.Sum(static a => a.Statistics.BytesDown) * perToken,
            TimeToFirstTokenMs = answers.Average(static a => a.Statistics.TimeToFirstTokenMs),
            TimingMs = TimingReport.Sum(answers.Select(static a => a.Statistics.Timings)),
            Identical = identical,
            StepTokens = perStep,
        };
    }
}
