using Cleave.Compute;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Inference.Tests.Survival;
using Cleave.Models;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;

namespace Cleave.EndToEnd.Tests;

/// <summary>
/// Worker processes killed outright (SIGKILL) at random bytes of the connection and at frame boundaries: the same tokens from another
/// worker. CLEAVE_KILL_ROUNDS sets how many of each; every round is a process.
/// </summary>
public sealed class ProcessKillTests : IDisposable
{
    private static readonly int[] s_prompt = [0, 500, 600, 700, 800, 900, 1000, 1100, 500, 600, 700];
    private readonly TrustedModel _model;

    public ProcessKillTests()
    {
        IModelSource source = ModelSource.Open(Draft);
        _model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), new Cut(1, 1), 1024);
    }

    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("CLEAVE_KILL_ROUNDS"), out int rounds) ? rounds : 5;

    private static string Draft => Path.Combine(Path.GetDirectoryName(Cli.Model)!, "cleave-demo-draft-4m.q8_0.gguf");

    [Fact]
    public async Task KilledAtAnyByteTheSameTokensComeFromAnotherWorker()
    {
        using StandaloneWorker victim = await StandaloneWorker.StartAsync(Draft, "1..2");
        using StandaloneWorker spare = await StandaloneWorker.StartAsync(Draft, "1..2");
        int[] expected;
        (long Up, long Down) opened = default;
        (long Up, long Down) all;
        await using (var whole = new ByteCutter(victim.Link.Port))
        {
            await using var link = new GrpcLink(victim.Link.At("127.0.0.1", whole.Port));
            expected = await RunAsync([link], null, () => opened = (whole.Up, whole.Down));
            all = (whole.Up, whole.Down);
        }

        int killed = 0;
        for (int round = 0; round < Rounds; round++)
        {
            var random = new Random(round);
            bool isUp = round % 2 == 0;
            await using var cutter = new ByteCutter(victim.Link.Port)
            {
                CutAt = (isUp, isUp ? random.NextInt64(opened.Up + 1, all.Up - 300) : random.NextInt64(opened.Down + 1, all.Down - 300)),
                OnCut = victim.Kill,
            };
            await using var first = new GrpcLink(victim.Link.At("127.0.0.1", cutter.Port));
            await using var second = new GrpcLink(spare.Link);
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([first, new FaultyLink(second) { AnswerDelayMs = 20, DescribeDelayMs = 300 }], events));
            if (cutter.Cuts > 0)
            {
                killed++;
                Assert.True(events.Any(e => e.Kind == SessionEventKind.Replayed), $"no replay in round {round}: {string.Join("; ", events)}");
                await victim.RestartAsync();
            }
        }

        // A round in which the other worker answered sooner from the beginning kills nobody.
        Assert.InRange(killed, (Rounds + 1) / 2, Rounds);
    }

    [Fact]
    public async Task KilledAtAFrameBoundaryTheSameTokensComeFromAnotherWorker()
    {
        using StandaloneWorker victim = await StandaloneWorker.StartAsync(Draft, "1..2");
        using StandaloneWorker spare = await StandaloneWorker.StartAsync(Draft, "1..2");
        int[] expected;
        int boundaries;
        await using (var link = new GrpcLink(victim.Link))
        {
            var whole = new FaultyLink(link);
            expected = await RunAsync([whole], null);
            boundaries = whole.Boundaries;
        }

        // The first four open the session, the last four close it.
        int killed = 0;
        int places = Math.Min(Rounds, boundaries - 8);
        for (int place = 0; place < places; place++)
        {
            await using var link = new GrpcLink(victim.Link);
            await using var second = new GrpcLink(spare.Link);
            var dying = new FaultyLink(link) { BreakAt = 4 + (place * (boundaries - 8) / places), KillsWorker = true, Killed = victim.Kill };
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([dying, new FaultyLink(second) { AnswerDelayMs = 20, DescribeDelayMs = 300 }], events));
            if (dying.IsDead)
            {
                killed++;
                Assert.True(events.Any(e => e.Kind == SessionEventKind.Replayed), $"no replay at boundary {dying.BreakAt}: {string.Join("; ", events)}");
                await victim.RestartAsync();
            }
        }

        Assert.InRange(killed, (places + 1) / 2, places);
    }

    public void Dispose() => _model.Dispose();

    private async Task<int[]> RunAsync(ILink[] links, List<SessionEvent>? events, Action? opened = null)
    {
        RemoteMiddle middle = await RemoteMiddle.OpenAsync(
            new WorkerRoster(links, static _ => { }),
            new RemoteMiddleOptions { Range = new LayerRange(1, 2), HiddenSize = _model.Config.HiddenSize, MaxTokens = 256, Events = happened => events?.Add(happened) },
            TestContext.Current.CancellationToken);
        opened?.Invoke();
        await using TextGenerator generator = new(new SplitSession(_model, middle, 256), DecoderCatalog.Create("suffix", new DrafterContext()), knownRttMs: 10);
        var tokens = new List<int>();
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 12, PrefillChunkRows = 4, StopAtEndOfTurn = false } };
        await foreach (DecodedToken token in generator.GenerateAsync(s_prompt, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return [.. tokens];
    }
}
