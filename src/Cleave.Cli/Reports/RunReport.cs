using Cleave.Cli.Running;
using Cleave.Inference;

namespace Cleave.Cli.Reports;

/// <summary>What <c>run --json</c> prints.</summary>
internal sealed record RunReport
{
    /// <summary>The answer, control tokens left out.</summary>
    public required string Text { get; init; }

    /// <summary>Its token ids, the end-of-turn token included.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>Decoder used.</summary>
    public required string Decoder { get; init; }

    /// <summary>Layers of the head (0 when unsplit).</summary>
    public required int Head { get; init; }

    /// <summary>Layers of the tail (0 when unsplit).</summary>
    public required int Tail { get; init; }

    /// <summary>Layers of the model.</summary>
    public required int Layers { get; init; }

    /// <summary>Seed of the sampling, given or drawn.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Round-trip time by ping, in milliseconds; 0 when nothing crosses a network.</summary>
    public required double RttMs { get; init; }

    /// <summary>Decoding round trips.</summary>
    public required int RoundTrips { get; init; }

    /// <summary>Tokens per decoding round trip.</summary>
    public required double TokensPerRoundTrip { get; init; }

    /// <summary>From the first token to the last.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>From sending the prompt to the first token.</summary>
    public required double TimeToFirstTokenMs { get; init; }

    /// <summary>Where the time went, summed over prompt and answer.</summary>
    public required TimingReport TimingMs { get; init; }

    /// <summary>Frame bytes sent, prompt included.</summary>
    public required long BytesUp { get; init; }

    /// <summary>Frame bytes received.</summary>
    public required long BytesDown { get; init; }

    /// <summary>Tokens of the prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Draft tokens sent, and how many of them were right.</summary>
    public required long Proposed { get; init; }

    /// <inheritdoc cref="Proposed"/>
    public required long Accepted { get; init; }

    /// <summary>Median duration of a decoding step, in milliseconds.</summary>
    public required double StepMsMedian { get; init; }

    /// <summary>Where head and tail (unsplit: everything) ran, and what they took there.</summary>
    public required DeviceUse Device { get; init; }

    /// <summary>The same of the draft model; null when none was loaded.</summary>
    public DeviceUse? DraftDevice { get; init; }

    /// <summary>Kernels of the middle layers, as whoever ran them says.</summary>
    public required string MiddleKernels { get; init; }

    /// <summary>A report of one generation.</summary>
    public static RunReport From(Answer answer, ulong seed, SplitHost host, string middleKernels)
    {
        GenerationStatistics statistics = answer.Statistics;
        return new RunReport
        {
            Text = answer.Text,
            Tokens = answer.Tokens,
            Decoder = statistics.Decoder,
            Head = host.Cut?.Head ?? 0,
            Tail = host.Cut?.Tail ?? 0,
            Layers = host.Model.Config.Layers,
            Seed = seed,
            RttMs = Math.Round(answer.RttMs, 3),
            RoundTrips = statistics.RoundTrips,
            TokensPerRoundTrip = Math.Round(statistics.TokensPerRoundTrip, 4),
            TokensPerSecond = Math.Round(statistics.TokensPerSecond, 3),
            TimeToFirstTokenMs = Math.Round(statistics.TimeToFirstTokenMs, 2),
            TimingMs = TimingReport.From(statistics.Timings),
            BytesUp = statistics.BytesUp,
            BytesDown = statistics.BytesDown,
            PromptTokens = statistics.PromptTokens,
            Proposed = statistics.Proposed,
            Accepted = statistics.Accepted,
            Device = DeviceUse.Of(host.Model.Device),
            DraftDevice = host.DraftDevice is { } draft ? DeviceUse.Of(draft) : null,
            MiddleKernels = middleKernels,
            StepMsMedian = Math.Round(Median(statistics), 3),
        };
    }

    // The first step is left out: it waits for the prompt as well.
    private static double Median(GenerationStatistics statistics)
    {
        double[] milliseconds = [.. statistics.Steps.Skip(1).Select(static step => step.Milliseconds).Order()];
        return milliseconds.Length == 0 ? 0 : milliseconds[milliseconds.Length / 2];
    }
}
