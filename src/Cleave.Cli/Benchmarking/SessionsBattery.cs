using System.Diagnostics;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Many sessions at once on one worker process over loopback: their tokens a second together, beside those of one session, and that
/// each says what it says alone. Sessions are open before the clock starts; prompts are in the time, alone and together.
/// </summary>
internal sealed class SessionsBattery(SplitSettings settings, IReadOnlyList<BenchPrompt> prompts, BenchSuite suite, Action<string> say)
{
    /// <summary>Each decoder: every prompt alone, then all at once, as often as the suite says.</summary>
    public async Task<IReadOnlyList<SessionsResult>> RunAsync(CancellationToken cancellationToken)
    {
        var results = new List<SessionsResult>();
        await using SplitHost host = await SplitHost.StartAsync(settings with { Wan = null, Sessions = suite.Sessions }, say, cancellationToken);
        int[][] ids = [.. Enumerable.Range(0, suite.Sessions).Select(i => prompts[i % prompts.Count].Ids(host.Model.Tokenizer))];
        foreach (string decoder in suite.SessionsOf)
        {
            // Once each way to warm up, with compiled code and grown buffers to follow.
            await TogetherAsync(host, decoder, ids, cancellationToken);
            say($"{decoder}: {suite.Sessions} prompts one at a time");
            var alone = new List<Answer>();
            var clock = new Stopwatch();
            foreach (int[] prompt in ids)
            {
                await using TextGenerator generator = await host.OpenAsync(decoder, cancellationToken, knownRttMs: 0);
                clock.Start();
                alone.Add(await AnswerAsync(generator, prompt, cancellationToken));
                clock.Stop();
            }

            double aloneSpeed = alone.Sum(static a => a.Tokens.Count) / clock.Elapsed.TotalSeconds;
            var speeds = new List<double>();
            var together = new List<Answer>();
            int different = 0;
            for (int repeat = 0; repeat < suite.Repeats; repeat++)
            {
                say($"{decoder}: {suite.Sessions} sessions at once, repetition {repeat + 1} of {suite.Repeats}");
                (Answer[] answers, double seconds) = await TogetherAsync(host, decoder, ids, cancellationToken);
                speeds.Add(answers.Sum(static a => a.Tokens.Count) / seconds);
                together.AddRange(answers);
                different += answers.Where((answer, i) => !answer.Tokens.SequenceEqual(alone[i].Tokens)).Count();
            }

            results.Add(new SessionsResult(suite.Sessions, decoder, suite.Tokens, aloneSpeed, speeds, PerTrip(alone), PerTrip(together), different));
        }

        return results;
    }

    private static TimingReport PerTrip(IReadOnlyCollection<Answer> answers) =>
        TimingReport.Sum(answers.Select(static a => a.Statistics.Timings)).Over(answers.Sum(static a => a.Statistics.RoundTrips));

    private async Task<(Answer[] Answers, double Seconds)> TogetherAsync(SplitHost host, string decoder, int[][] ids, CancellationToken cancellationToken)
    {
        var generators = new List<TextGenerator>();
        try
        {
            foreach (int[] _ in ids)
            {
                generators.Add(await host.OpenAsync(decoder, cancellationToken, knownRttMs: 0));
            }

            long started = Stopwatch.GetTimestamp();
            Answer[] answers = await Task.WhenAll(generators.Zip(ids, (generator, prompt) => Task.Run(() => AnswerAsync(generator, prompt, cancellationToken), cancellationToken)));
            return (answers, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
        finally
        {
            foreach (TextGenerator generator in generators)
            {
                await generator.DisposeAsync();
            }
        }
    }

    private Task<Answer> AnswerAsync(TextGenerator generator, int[] prompt, CancellationToken cancellationToken)
    {
        var options = new GenerationOptions
        {
            Sampling = suite.Sampling,
            Decoding = new DecodingOptions { MaxTokens = suite.Tokens, StopAtEndOfTurn = false },
        };
        return Answer.GenerateAsync(generator, prompt, options, show: null, cancellationToken);
    }
}
