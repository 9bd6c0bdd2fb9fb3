using System.Net;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Protocol;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// From a request per step with base64 JSON to the stream, thin wire types and many tokens per round trip, each rung measured on
/// the same prompts over the same link.
/// </summary>
internal static class OptimisationLadder
{
    private const int Tokens = 32;
    private static readonly BenchLink s_link = new(80);

    /// <summary>Climbs it <paramref name="repeats"/> times; each rung's median by speed.</summary>
    public static async Task<IReadOnlyList<LadderRung>> ClimbAsync(
        SplitSettings settings, BenchRunner runner, int repeats, Action<string> say, CancellationToken cancellationToken)
    {
        IReadOnlyList<BenchPrompt> prompts = [.. runner.PromptsOf("all").Take(4)];
        var climbs = new List<LadderRung[]>();
        for (int repeat = 0; repeat < repeats; repeat++)
        {
            climbs.Add(
            [
                await NaiveAsync("a connection and a request per step, base64 JSON", false, settings, prompts, say, cancellationToken),
                await NaiveAsync("a kept connection, a request per step, base64 JSON", true, settings, prompts, say, cancellationToken),
                await StreamAsync("a TLS stream of binary frames, sequential", "sequential", settings, prompts, say, cancellationToken),
                await StreamAsync("f16 on the wire", "sequential", settings with { Wire = WireType.F16 }, prompts, say, cancellationToken),
                await StreamAsync($"drafts: {DecoderCatalog.Best}", DecoderCatalog.Best, settings, prompts, say, cancellationToken),
                await StreamAsync($"drafts: {DecoderCatalog.Best}, f16 on the wire", DecoderCatalog.Best, settings with { Wire = WireType.F16 }, prompts, say, cancellationToken),
            ]);
        }

        return [.. Enumerable.Range(0, climbs[0].Length).Select(rung => climbs.Select(climb => climb[rung]).OrderBy(static r => r.TokensPerSecond).ElementAt(repeats / 2))];
    }

    private static async Task<LadderRung> NaiveAsync(
        string name, bool keepConnection, SplitSettings settings, IReadOnlyList<BenchPrompt> prompts, Action<string> say, CancellationToken cancellationToken)
    {
        say("ladder: " + name);
        var answers = new List<Answer>();
        await using SplitHost host = await SplitHost.StartAsync(settings, say, cancellationToken);
        foreach (BenchPrompt prompt in prompts)
        {
            int[] ids = prompt.Ids(host.Model.Tokenizer);
            int room = ids.Length + Tokens + 8;
            await using var server = new JsonStepServer(host.Model.CreateLocalMiddle(room, 4096));
            await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, server.Port), s_link.Options);
            await using TextGenerator generator = new(
                new SplitSession(host.Model, new JsonMiddle(wan.ListenEndPoint.Port, keepConnection), room), new SequentialDrafter());
            answers.Add(await GenerateAsync(generator, ids, cancellationToken));
        }

        return Rung(name, answers);
    }

    private static async Task<LadderRung> StreamAsync(
        string name, string decoder, SplitSettings settings, IReadOnlyList<BenchPrompt> prompts, Action<string> say, CancellationToken cancellationToken)
    {
        say("ladder: " + name);
        var answers = new List<Answer>();
        await using SplitHost host = await SplitHost.StartAsync(settings with { Wan = s_link.Options }, say, cancellationToken);
        foreach (BenchPrompt prompt in prompts)
        {
            await using TextGenerator generator = await host.OpenAsync(decoder, cancellationToken);
            answers.Add(await GenerateAsync(generator, prompt.Ids(host.Model.Tokenizer), cancellationToken));
        }

        return Rung(name, answers);
    }

    private static Task<Answer> GenerateAsync(TextGenerator generator, int[] ids, CancellationToken cancellationToken) =>
        Answer.GenerateAsync(
            generator, ids, new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = Tokens, StopAtEndOfTurn = false } }, null, cancellationToken);

    private static LadderRung Rung(string name, List<Answer> answers)
    {
        int trips = answers.Sum(static a => a.Statistics.RoundTrips);
        return new LadderRung(
            name,
            answers.Sum(static a => a.Statistics.DecodeMs) / Math.Max(1, trips - answers.Count), // the first trip brings the first token
            (double)answers.Sum(static a => a.Statistics.BytesUp + a.Statistics.BytesDown) / Math.Max(1, trips),
            answers.Sum(static a => a.Tokens.Count - a.Statistics.Steps[0].Tokens) * 1000.0 / answers.Sum(static a => a.Statistics.DecodeMs));
    }
}
