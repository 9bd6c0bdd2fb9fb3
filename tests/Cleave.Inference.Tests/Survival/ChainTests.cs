using Cleave.Inference.Sessions;
using Cleave.Protocol;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Chaining;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A middle spread over workers in a row gives the bits of one worker, and survives what a session on one survives.</summary>
public sealed class ChainTests : IAsyncDisposable
{
    private readonly ChainScene _scene = new();

    [Theory]
    [InlineData("sequential", false)]
    [InlineData("suffix", false)]
    [InlineData("sequential", true)]
    [InlineData("suffix", true)]
    public async Task Two_and_three_workers_in_a_row_give_the_bits_of_one(string decoder, bool forward)
    {
        _scene.Forward = forward;
        (int[] Tokens, List<uint> Logits) one = await _scene.RunAsync(decoder, [_scene.Worker(2, 10)], null);
        Assert.Equal(DemoModel.GreedyCases[0].GreedyIds[..12], one.Tokens[..12]);
        foreach (ILink[] chain in (ILink[][])[[_scene.Worker(2, 6), _scene.Worker(6, 10)], [_scene.Worker(2, 3), _scene.Worker(3, 9), _scene.Worker(9, 10)], [_scene.Worker(6, 10), _scene.Worker(2, 6)]])
        {
            (int[] tokens, List<uint> logits) = await _scene.RunAsync(decoder, chain, null);
            Assert.Equal(one.Tokens, tokens);
            Assert.Equal(one.Logits, logits);
        }
    }

    [Theory]
    [InlineData("sequential")]
    [InlineData("suffix")]
    public async Task A_link_lost_between_workers_is_mended_there(string decoder)
    {
        _scene.Forward = true;
        int frames = 0;
        _scene.Between = (_, link) => new FaultyLink(link) { Passed = () => frames++ };
        int[] expected = (await _scene.RunAsync(decoder, [_scene.Worker(2, 6), _scene.Worker(6, 10)], null)).Tokens;
        Assert.InRange(frames, 30, 1000);
        int boundaries = frames;
        for (int boundary = 4; boundary < boundaries - 4; boundary += 5)
        {
            FaultyLink? cut = null;
            _scene.Between = (_, link) => cut = new FaultyLink(link) { BreakAt = boundary };
            var events = new List<SessionEvent>();
            Assert.Equal(expected, (await _scene.RunAsync(decoder, [_scene.Worker(2, 6), _scene.Worker(6, 10)], events)).Tokens);
            Assert.True(cut!.Boundaries > boundary);
            Assert.Empty(events);
        }
    }

    [Fact]
    public async Task A_link_between_workers_lost_as_a_session_ends_leaves_nothing()
    {
        _scene.Forward = true;
        FaultyLink? between = null;
        _scene.Between = (_, link) => between = new FaultyLink(link);
        await _scene.RunAsync("sequential", [_scene.Worker(2, 6), _scene.Worker(6, 10)], null);
        int boundaries = between!.Boundaries;
        int broken = 0;
        for (int boundary = boundaries - 6; boundary < boundaries; boundary++)
        {
            _scene.Between = (_, link) => between = new FaultyLink(link) { BreakAt = boundary };
            await _scene.RunAsync("sequential", [_scene.Worker(2, 6), _scene.Worker(6, 10)], null);
            Assert.True(
                SpinWait.SpinUntil(() => _scene.ModelOf(2, 6).Pool.Used == 0 && _scene.ModelOf(6, 10).Pool.Used == 0, TimeSpan.FromSeconds(30)),
                $"rows were left behind at boundary {boundary} of {boundaries}");
            broken += between.Boundaries > boundary ? 1 : 0;
        }

        Assert.InRange(broken, 3, 6);
    }

    [Fact]
    public async Task The_link_to_a_chain_lost_is_resumed_with_the_same_tokens()
    {
        _scene.Forward = true;
        var whole = new FaultyLink(_scene.Worker(2, 6));
        int[] expected = (await _scene.RunAsync("suffix", [whole, _scene.Worker(6, 10)], null)).Tokens;
        for (int boundary = 4; boundary < whole.Boundaries - 4; boundary += 5)
        {
            var events = new List<SessionEvent>();
            Assert.Equal(expected, (await _scene.RunAsync("suffix", [new FaultyLink(_scene.Worker(2, 6)) { BreakAt = boundary }, _scene.Worker(6, 10)], events)).Tokens);
            Assert.Contains(events, e => e.Kind == SessionEventKind.Resumed);
            Assert.DoesNotContain(events, e => e.Kind is SessionEventKind.Replaying or SessionEventKind.NotForwarded);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_worker_lost_in_a_forwarded_chain_costs_a_replay_through_another_chain(int lost)
    {
        _scene.Forward = true;
        (int Start, int End)[] parts = [(2, 5), (5, 8), (8, 10)];
        int[] expected = (await _scene.RunAsync("suffix", [.. parts.Select(part => (ILink)_scene.Worker(part.Start, part.End))], null)).Tokens;
        for (int boundary = 6; boundary < 30; boundary += 6)
        {
            // The trusted side's and the neighbour's links to that worker die together; the part's other worker stays.
            FaultyLink[] links = [.. parts.Select(part => new FaultyLink(_scene.Worker(part.Start, part.End)))];
            var spare = new FaultyLink(_scene.Worker(parts[lost].Start, parts[lost].End)) { AnswerDelayMs = 5, DescribeDelayMs = 300 };
            FaultyLink dying = links[lost];
            dying.KillsWorker = true;
            if (lost == 0)
            {
                dying.BreakAt = boundary;
                _scene.Between = static (_, link) => link;
            }
            else
            {
                _scene.Between = (hop, link) => hop.LayerEnd != parts[lost].End || dying.IsDead ? link : new FaultyLink(link) { BreakAt = boundary, KillsWorker = true, Killed = () => dying.IsDead = true };
            }

            var events = new List<SessionEvent>();
            Assert.Equal(expected, (await _scene.RunAsync("suffix", [.. links, spare], events)).Tokens);
            Assert.True(dying.IsDead, $"nothing was lost at boundary {boundary}");
            Assert.Contains(events, e => e.Kind == SessionEventKind.Replayed);
            Assert.DoesNotContain(events, e => e.Kind is SessionEventKind.IdentityNotPromised or SessionEventKind.NotForwarded);
        }
    }

    [Fact]
    public async Task A_chain_that_may_not_forward_passes_through_here_and_says_so_once()
    {
        int[] expected = (await _scene.RunAsync("suffix", [_scene.Worker(2, 6), _scene.Worker(6, 10)], null)).Tokens;
        _scene.Forward = true;
        foreach ((NextWorkers allowed, ILink second, string says) in new (NextWorkers, ILink, string)[]
        {
            (NextWorkers.None, _scene.Worker(6, 10), "operator of the worker of layers 2..6 has not allowed it"),
            (NextWorkers.At(["elsewhere.example:7707"]), _scene.Worker(6, 10), "--next-allow 127.0.0.1:6"),
            (NextWorkers.Any(hop => new FaultyLink(_scene.LinkTo(hop)) { IsDead = true }), _scene.Worker(6, 10), "the worker is dead"),
            (NextWorkers.Any(), new OlderLink(_scene.Worker(6, 10)), "worker of layers 6..10 speaks protocol version 1"),
        })
        {
            await using WorkerEndpoint first = new(_scene.ModelOf(2, 6), ChainScene.OneTenant(), next: allowed);
            WorkerChain chain = await _scene.ConnectAsync([new LoopbackLink(first), second]);
            var events = new List<SessionEvent>();
            for (int i = 0; i < 2; i++)
            {
                Assert.Equal(expected, (await _scene.RunAsync("suffix", chain, events)).Tokens);
            }

            SessionEvent said = Assert.Single(events, e => e.Kind == SessionEventKind.NotForwarded);
            Assert.Contains(says, said.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_link_lost_at_any_hop_is_resumed_with_the_same_tokens()
    {
        for (int hop = 0; hop < 2; hop++)
        {
            FaultyLink[] links = [new(_scene.Worker(2, 6)), new(_scene.Worker(6, 10))];
            int[] expected = (await _scene.RunAsync("suffix", links, null)).Tokens;
            for (int boundary = 4; boundary < links[hop].Boundaries - 4; boundary += 5)
            {
                FaultyLink[] cut = [new(_scene.Worker(2, 6)), new(_scene.Worker(6, 10))];
                cut[hop].BreakAt = boundary;
                var events = new List<SessionEvent>();
                Assert.Equal(expected, (await _scene.RunAsync("suffix", cut, events)).Tokens);
                Assert.True(events.Any(e => e.Kind == SessionEventKind.Resumed), $"no resume at hop {hop}, boundary {boundary}");
                Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.Replaying);
            }
        }
    }

    [Fact]
    public async Task A_worker_lost_in_the_row_is_replaced_by_another_of_its_part()
    {
        int[] expected = (await _scene.RunAsync("suffix", [_scene.Worker(2, 6), _scene.Worker(6, 10)], null)).Tokens;
        int lost = 0;
        for (int boundary = 6; boundary < 40; boundary += 8)
        {
            // The other one is slower to answer, so that hardly ever it is picked first.
            var spare = new FaultyLink(_scene.Worker(6, 10)) { AnswerDelayMs = 5 };
            var dying = new FaultyLink(_scene.Worker(6, 10)) { BreakAt = boundary, KillsWorker = true };
            var events = new List<SessionEvent>();
            Assert.Equal(expected, (await _scene.RunAsync("suffix", [_scene.Worker(2, 6), dying, spare], events)).Tokens);
            Assert.True(!dying.IsDead || events.Any(e => e.Kind == SessionEventKind.Replayed), $"no replay at boundary {boundary}");
            lost += dying.IsDead ? 1 : 0;
        }

        Assert.True(lost > 0, "no worker was lost: nothing was put to the test");
    }

    [Fact]
    public async Task Workers_that_make_no_row_are_refused_by_name()
    {
        foreach ((ILink[] links, string says) in new[]
        {
            ([_scene.Worker(2, 6)], "nobody holds layers 6..10"),
            ([_scene.Worker(2, 6), _scene.Worker(5, 10)], "layers from 6 on were needed next"),
            ((ILink[])[_scene.Worker(3, 6), _scene.Worker(6, 10)], "layers from 2 on were needed next"),
        })
        {
            WireException refused = await Assert.ThrowsAsync<WireException>(() => _scene.ConnectAsync(links));
            Assert.Equal(WireErrorCode.UnsupportedLayers, refused.Error.Code);
            Assert.Contains(says, refused.Message, StringComparison.Ordinal);
        }
    }

    public ValueTask DisposeAsync() => _scene.DisposeAsync();

    /// <summary>A worker from before rows went from worker to worker.</summary>
    private sealed class OlderLink(ILink inner) : ILink
    {
        public string Name => inner.Name;

        public async ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) =>
            await inner.DescribeAsync(cancellationToken) with { MaxVersion = 1, Forwards = false };

        public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => inner.OpenStreamAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
