using Cleave.Inference.Sessions;
using Cleave.Protocol;
using Cleave.Protocol.Shaping;
using Cleave.Worker;

namespace Cleave.Inference.Tests.Survival;

/// <summary>
/// However a session ends while its link is broken, its workers are told, and hold nothing of it. One whose opening was not answered has no name to
/// close it by, and goes after <see cref="ServingLimits.PressureIdleTimeout"/>.
/// </summary>
public sealed class LeftBehindTests() : LoopbackWorkerTests(new ServingLimits { PressureIdleTimeout = TimeSpan.FromSeconds(4) })
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_recovery_given_up_for_good_leaves_nothing(bool toAnotherWorker)
    {
        int givenUp = 0;
        for (int moment = 1; moment <= 12; moment++)
        {
            using var loss = new MomentAfterLoss(Loopback(0), Loopback(1), losesWorker: toAnotherWorker, moment);
            await using (RemoteMiddle middle = await OpenAsync(loss.Links, null))
            {
                givenUp += await GaveUpAsync(middle, loss.Token) ? 1 : 0;
            }

            loss.Forget();
            await NothingIsLeftAsync($"given up at moment {moment}", orSession: true);
        }

        Assert.InRange(givenUp, 4, 12);
    }

    [Fact]
    public async Task A_session_that_went_on_at_another_worker_is_closed_where_it_was()
    {
        var spare = new FaultyLink(Loopback(1)) { IsDead = true };
        var first = new FaultyLink(Loopback(0)) { BreakAt = 10, KillsWorker = true, Killed = () => spare.IsDead = false };
        await using RemoteMiddle middle = await OpenAsync([first, spare], null);
        Assert.False(await GaveUpAsync(middle, TestContext.Current.CancellationToken));
        Assert.Equal((1, 1), (Workers[0].Endpoint.Sessions, Workers[1].Endpoint.Sessions));
        first.IsDead = false;
        Assert.True(SpinWait.SpinUntil(() => Workers[0].Endpoint is { Sessions: 0, KvTokensUsed: 0 }, TimeSpan.FromSeconds(30)), "the first worker was told");
        Assert.Equal(1, Workers[1].Endpoint.Sessions);
        await middle.DisposeAsync();
        await NothingIsLeftAsync("closed", orSession: true);
    }

    [Fact]
    public async Task A_session_in_fixed_shape_that_was_replayed_is_closed_where_it_was()
    {
        var cut = new FaultyLink(Loopback(0)) { BreakAt = 10 };
        var events = new List<SessionEvent>();
        await using (var link = new FixedShapeLink(cut, FrameShape.Parse("4:5ms:4")))
        {
            await using RemoteMiddle middle = await OpenAsync([link], events);
            Assert.False(await GaveUpAsync(middle, TestContext.Current.CancellationToken));
            Assert.Contains(events, static e => e.Kind == SessionEventKind.Replayed);
            Assert.True(SpinWait.SpinUntil(() => Workers[0].Endpoint.Sessions == 1, TimeSpan.FromSeconds(30)), "the session before was closed");
        }

        await NothingIsLeftAsync("closed", orSession: true);
    }

    [Fact]
    public async Task A_ticket_refused_for_now_is_shown_again()
    {
        var events = new List<SessionEvent>();
        await using (RemoteMiddle middle = await OpenAsync([new RefusingLink(new FaultyLink(Loopback(0)) { BreakAt = 10 }, retryAfterMs: 50)], events))
        {
            Assert.False(await GaveUpAsync(middle, TestContext.Current.CancellationToken));
            Assert.Contains(events, static e => e.Kind == SessionEventKind.Resumed);
        }

        await NothingIsLeftAsync("closed", orSession: true);
    }

    [Fact]
    public async Task A_session_whose_ticket_is_refused_for_good_leaves_nothing()
    {
        await using (RemoteMiddle middle = await OpenAsync([new RefusingLink(new FaultyLink(Loopback(0)) { BreakAt = 10 }, retryAfterMs: 0)], null))
        {
            WireException refused = await Assert.ThrowsAsync<WireException>(() => GaveUpAsync(middle, TestContext.Current.CancellationToken));
            Assert.Equal(WireErrorCode.QuotaExceeded, refused.Error.Code);
        }

        await NothingIsLeftAsync("closed", orSession: true);
    }

    /// <summary>Three rows, then their answers. True when that was cancelled.</summary>
    private async Task<bool> GaveUpAsync(RemoteMiddle middle, CancellationToken cancellationToken)
    {
        for (ulong id = 1; id <= 3; id++)
        {
            await SubmitRowAsync(middle, id);
        }

        try
        {
            for (ulong id = 1; id <= 3; id++)
            {
                Assert.Equal([id], (await middle.ReceiveAsync(cancellationToken)).RowIds.ToArray());
            }

            return false;
        }
        catch (OperationCanceledException)
        {
            return true;
        }
    }
}
