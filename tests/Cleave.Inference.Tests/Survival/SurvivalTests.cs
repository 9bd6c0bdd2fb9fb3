using Cleave.Engine;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Protocol.Links;
using Cleave.Worker;

namespace Cleave.Inference.Tests.Survival;

/// <summary>The link, then the worker, lost at every frame boundary of a run: the same tokens, and nothing left behind.</summary>
public sealed class SurvivalTests : LoopbackWorkerTests
{
    [Fact]
    public async Task A_link_lost_at_any_frame_boundary_is_resumed_with_the_same_tokens()
    {
        var link = new FaultyLink(Loopback(0));
        int[] expected = await RunAsync([link], null);
        int boundaries = link.Boundaries;
        Assert.True(boundaries > 20);

        // The first four are the opening of the session, which is opened again instead; the last four its farewell.
        for (int boundary = 0; boundary < boundaries - 4; boundary++)
        {
            var cut = new FaultyLink(Loopback(0)) { BreakAt = boundary };
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([cut], events));
            Assert.True(events.Any(e => e.Kind == (boundary < 4 ? SessionEventKind.LinkLost : SessionEventKind.Resumed)), $"no resume at boundary {boundary}: {string.Join("; ", events)}");
            Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.Replaying);
        }
    }

    [Fact]
    public async Task A_worker_lost_at_any_frame_boundary_is_replaced_with_the_same_tokens()
    {
        var first = new FaultyLink(Loopback(0));
        int[] expected = await RunAsync([first], null);
        Assert.True(first.Boundaries > 20);
        for (int boundary = 0; boundary < first.Boundaries - 4; boundary++)
        {
            (FaultyLink dying, FaultyLink spare) = Pair(0, boundary);
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([dying, spare], events));
            Assert.True(dying.IsDead && events.Any(e => e.Kind == (boundary < 4 ? SessionEventKind.LinkLost : SessionEventKind.Replayed)), $"no replay at boundary {boundary}: {string.Join("; ", events)}");
            Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.IdentityNotPromised);
        }
    }

    [Theory]
    [InlineData("pipelined")]
    [InlineData("auto")]
    [InlineData("lookahead")]
    public async Task A_link_cut_in_mid_pipeline_gives_the_sequential_tokens(string decoder)
    {
        // The draft is the target itself, answers take a while, and the decoder is told that they take longer: frames go out before the answers are there.
        using DraftModel draft = DraftModel.Load(DemoModel.DraftPath, Model.Tokenizer);
        var decoding = new DecodingOptions { MaxTokens = 24, PrefillChunkRows = 4, FrameRows = 3, MaxRowsPerStep = 6, StopAtEndOfTurn = false };
        int[] expected = await RunAsync([Loopback(0)], null, "sequential", decoding);
        var whole = new FaultyLink(Loopback(0)) { AnswerDelayMs = 5 };
        int ahead = 0;
        Assert.Equal(expected, await RunAsync([whole], null, decoder, decoding, draft, 80, statistics => ahead += statistics.Frames - statistics.RoundTrips));
        Assert.True(ahead > 0 || decoder == "lookahead", "no frame was sent ahead: nothing was put to the test");
        for (int boundary = 5; boundary < whole.Boundaries - 4; boundary += 5)
        {
            var cut = new FaultyLink(Loopback(0)) { AnswerDelayMs = 5, BreakAt = boundary };
            Assert.Equal(expected, await RunAsync([cut], null, decoder, decoding, draft, 80));
        }
    }

    [Fact]
    public async Task What_is_sent_with_a_ticket_and_answered_twice_disturbs_nothing_after_it()
    {
        // Three steps at once and then a ping: wherever the link breaks, the pong is found behind answers that come again, and the session is closed.
        var whole = new FaultyLink(Loopback(0));
        await TalkAsync(whole);
        Assert.InRange(whole.Boundaries, 20, 30);
        for (int boundary = 4; boundary < whole.Boundaries - 4; boundary++)
        {
            await TalkAsync(new FaultyLink(Loopback(0)) { BreakAt = boundary });
            Assert.True(SpinWait.SpinUntil(() => Workers[0].Model.Pool.Used == 0, TimeSpan.FromSeconds(30)), $"a session was left behind at boundary {boundary}");
        }

        async Task TalkAsync(FaultyLink link)
        {
            await using RemoteMiddle middle = await OpenAsync([link], null);
            for (ulong id = 1; id <= 3; id++)
            {
                await middle.SubmitAsync(default, new[] { new TreeRow(id, id - 1) }, new float[Model.Config.HiddenSize], TestContext.Current.CancellationToken);
            }

            for (ulong id = 1; id <= 3; id++)
            {
                Assert.Equal([id], (await middle.ReceiveAsync(TestContext.Current.CancellationToken)).RowIds.ToArray());
            }

            Assert.True(await middle.PingAsync(TestContext.Current.CancellationToken) > 0);
        }
    }

    [Fact]
    public async Task A_worker_lost_while_a_step_waits_for_its_room_is_replaced_and_takes_the_step()
    {
        // One frame at a time: the step behind a truncation waits for the answer to it, and a replay meanwhile numbers frames anew.
        StartWorker(new ServingLimits { MaxFramesInFlight = 1 });
        StartWorker(new ServingLimits { MaxFramesInFlight = 1 });
        var whole = new FaultyLink(Loopback(2));
        await TalkAsync([whole], null);
        Assert.InRange(whole.Boundaries, 30, 40);
        for (int boundary = 4; boundary < whole.Boundaries - 4; boundary++)
        {
            (FaultyLink dying, FaultyLink spare) = Pair(2, boundary);
            var events = new List<SessionEvent>();
            await TalkAsync([dying, spare], events);
            Assert.True(dying.IsDead && events.Any(static e => e.Kind == SessionEventKind.Replayed), $"no replay at boundary {boundary}: {string.Join("; ", events)}");
        }

        async Task TalkAsync(ILink[] links, List<SessionEvent>? events)
        {
            CancellationToken cancellationToken = TestContext.Current.CancellationToken;
            await using RemoteMiddle middle = await OpenAsync(links, events);
            Assert.Equal(1, middle.MaxStepsInFlight);
            for (ulong id = 1; id <= 3; id++)
            {
                ulong[] keep = id == 1 ? [] : [id - 1];
                await SendAsync(keep, id, id - 1);
            }

            await middle.TruncateAsync(new ulong[] { 3 }, 1, cancellationToken);
            await SendAsync([], 4, 1);

            async Task SendAsync(ulong[] keep, ulong id, ulong parent)
            {
                await middle.SubmitAsync(keep, new[] { new TreeRow(id, parent) }, new float[Model.Config.HiddenSize], cancellationToken);
                Assert.Equal([id], (await middle.ReceiveAsync(cancellationToken)).RowIds.ToArray());
            }
        }
    }

    [Fact]
    public async Task What_was_mended_long_ago_does_not_count_against_the_next_loss()
    {
        // Recoveries without an answer are counted over four times the time one may take.
        var link = new FaultyLink(Loopback(0));
        var events = new List<SessionEvent>();
        await using RemoteMiddle middle = await OpenAsync([link], events, recoverySeconds: 1.5);
        link.BreakAt = link.Boundaries;
        await middle.PingAsync(TestContext.Current.CancellationToken);
        await Task.Delay(TimeSpan.FromSeconds(6.5), TestContext.Current.CancellationToken);
        link.BreakAt = link.Boundaries;
        await middle.PingAsync(TestContext.Current.CancellationToken);
        await SubmitRowAsync(middle, 1);
        MiddleReply reply = await middle.ReceiveAsync(TestContext.Current.CancellationToken);
        Assert.Equal([1], reply.RowIds.ToArray());
        Assert.Equal(2, events.Count(static e => e.Kind == SessionEventKind.Resumed));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_recovery_given_up_at_any_moment_is_gone_on_with(bool losesWorker)
    {
        int passed = 0;
        for (int moment = 1; moment == 1 || passed >= moment - 1; moment++)
        {
            using var loss = new MomentAfterLoss(Loopback(0), Loopback(1), losesWorker, moment);
            await using RemoteMiddle middle = await OpenAsync(loss.Links, null);
            for (ulong id = 1; id <= 3; id++)
            {
                await SubmitRowAsync(middle, id);
            }

            for (ulong id = 1; id <= 3; id++)
            {
                MiddleReply reply;
                try
                {
                    reply = await middle.ReceiveAsync(loss.Token);
                }
                catch (OperationCanceledException)
                {
                    reply = await middle.ReceiveAsync(TestContext.Current.CancellationToken);
                }

                Assert.Equal([id], reply.RowIds.ToArray());
            }

            Assert.True(loss.WasLost);
            Assert.True(moment < 100);
            passed = loss.Passed;
            loss.Forget();
        }

        Assert.InRange(passed, 8, 40);
        await NothingIsLeftAsync("gone on with and closed", orSession: false);
    }

    /// <summary>A worker that dies at a boundary, and the one behind it, which cannot be reached before: so it is not picked first.</summary>
    private (FaultyLink Dying, FaultyLink Spare) Pair(int worker, int boundary)
    {
        var spare = new FaultyLink(Loopback(worker + 1)) { IsDead = true };
        return (new FaultyLink(Loopback(worker)) { BreakAt = boundary, KillsWorker = true, Killed = () => spare.IsDead = false }, spare);
    }

    private async Task<int[]> RunAsync(
        ILink[] links, List<SessionEvent>? events, string decoder = "suffix", DecodingOptions? decoding = null, DraftModel? draft = null, double? rttMs = null, Action<GenerationStatistics>? look = null)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        RemoteMiddle middle = await OpenAsync(links, events);
        await using TextGenerator generator = new(new SplitSession(Model, middle, 256), DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft }), rttMs);
        var tokens = new List<int>();

        // Two turns, the second editing the first, so that truncation is on the way as well; several prompt chunks in flight.
        foreach (int[] prompt in new[] { DemoModel.GreedyCases[1].PromptIds, [.. DemoModel.GreedyCases[1].PromptIds[..9], 5, 6, 7, 8, 5, 6, 7] })
        {
            var options = new GenerationOptions { Decoding = decoding ?? new DecodingOptions { MaxTokens = 8, PrefillChunkRows = 4, StopAtEndOfTurn = false } };
            await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, cancellationToken))
            {
                tokens.Add(token.Token);
            }

            look?.Invoke(generator.Statistics!);
        }

        return [.. tokens];
    }
}
