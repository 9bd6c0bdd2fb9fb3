using System.Net;
using System.Security.Cryptography;
using Cleave.Inference.Sessions;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Wan;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Over real gRPC and TLS: connections reset at random bytes, long silences, moved workers, full workers.</summary>
public sealed class NetworkSurvivalTests : NetworkedWorkerTests
{
    [Fact]
    public async Task A_connection_reset_at_any_byte_is_resumed_with_the_same_tokens()
    {
        int[] expected;
        long up;
        long down;
        long openedUp = 0;
        long openedDown = 0;
        await using (var whole = new ByteCutter(Servers[0].Port))
        {
            await using GrpcLink link = Link(whole.Port);
            expected = await RunAsync([link], null, () => (openedUp, openedDown) = (whole.Up, whole.Down));
            (up, down) = (whole.Up, whole.Down);
        }

        // From after the connection's own beginning to before the farewell; sessions cut off as they open are opened again.
        var random = new Random(8);
        int resumed = 0;
        for (int round = 0; round < 40; round++)
        {
            bool isUp = round % 2 == 0;
            long at = isUp ? random.NextInt64(openedUp + 1, up - 300) : random.NextInt64(openedDown + 1, down - 300);
            await using var cutter = new ByteCutter(Servers[0].Port) { CutAt = (isUp, at) };
            await using GrpcLink link = Link(cutter.Port);
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([link], events));
            Assert.DoesNotContain(events, e => e.Kind is SessionEventKind.Replaying);
            resumed += events.Any(e => e.Kind is SessionEventKind.Resumed || e.Message.StartsWith("while the session was being opened", StringComparison.Ordinal)) ? 1 : 0;
        }

        Assert.InRange(resumed, 36, 40);
    }

    [Fact]
    public async Task With_a_connection_in_reserve_a_resume_takes_one_round_trip()
    {
        // The first connection breaks, the reserve does not: the open frame and its answer are all.
        TimeSpan rtt = TimeSpan.FromMilliseconds(200);
        await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, Servers[0].Port), new WanOptions { Rtt = rtt });
        await using GrpcLink plain = Link(Servers[0].Port);
        int[] expected = await RunAsync([plain], null);
        var roundTrips = new List<double>();

        // The quickest of three: a machine that is busy elsewhere makes some of them longer.
        for (int round = 0; round < 3; round++)
        {
            await using var cutter = new ByteCutter(wan.ListenEndPoint.Port);
            await using GrpcLink link = new(
                new PairingLink("127.0.0.1", cutter.Port, SHA256.HashData(Key.ExportSubjectPublicKeyInfo()), Token), new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero });
            var events = new List<SessionEvent>();
            int tokens = 0;
            Assert.Equal(expected, await RunAsync([link], events, onToken: () =>
            {
                if (++tokens == 5)
                {
                    // The reserve is there: TCP, TLS and a call that shows the token.
                    SpinWait.SpinUntil(() => cutter.Connections == 2, TimeSpan.FromSeconds(30));
                    Thread.Sleep(4 * rtt);
                    cutter.CutFirst();
                }
            }));
            SessionEvent resumed = Assert.Single(events, e => e.Kind == SessionEventKind.Resumed);
            roundTrips.Add(resumed.Milliseconds / rtt.TotalMilliseconds);

            // And there is a reserve again: the first connection, the reserve, and one in place of the lost one.
            Assert.Equal(3, await EventuallyAsync(() => cutter.Connections, 3));
        }

        Assert.InRange(roundTrips.Min(), 0.95, 2.2);
    }

    [Fact]
    public async Task Connections_that_die_in_silence_are_noticed_and_left()
    {
        await using GrpcLink plain = Link(Servers[0].Port);
        int[] expected = await RunAsync([plain], null);
        await using var cutter = new ByteCutter(Servers[0].Port);
        await using GrpcLink link = new(
            new PairingLink("127.0.0.1", cutter.Port, SHA256.HashData(Key.ExportSubjectPublicKeyInfo()), Token),
            new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero, KeepAliveDelay = TimeSpan.FromSeconds(1), KeepAliveTimeout = TimeSpan.FromSeconds(1) });
        var events = new List<SessionEvent>();
        int tokens = 0;
        Assert.Equal(expected, await RunAsync([link], events, onToken: () =>
        {
            if (++tokens == 4)
            {
                // Both: the first and the reserve.
                SpinWait.SpinUntil(() => cutter.Connections == 2, TimeSpan.FromSeconds(30));
                cutter.Freeze();
            }
        }));
        Assert.Contains(events, e => e.Kind == SessionEventKind.Resumed);
        Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.Replaying);
    }

    [Fact]
    public async Task Another_worker_takes_two_round_trips_and_the_log()
    {
        // It is asked what it is, and opens a session, over a connection that is there already; then one round trip for a log of one chunk.
        using ECDsa otherKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await ServeAsync(otherKey);
        TimeSpan rtt = TimeSpan.FromMilliseconds(200);
        WanEmulator[] wans = [.. Servers.Select(server => WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, server.Port), new WanOptions { Rtt = server == Servers[0] ? rtt : 1.5 * rtt }))];
        await using GrpcLink first = Link(wans[0].ListenEndPoint.Port);
        await using GrpcLink second = Link(wans[1].ListenEndPoint.Port, otherKey);
        int[] expected = await RunAsync([Link(Servers[0].Port)], null);
        var events = new List<SessionEvent>();
        int tokens = 0;
        Task died = Task.CompletedTask;
        Assert.Equal(expected, await RunAsync([first, second], events, onToken: () => died = ++tokens == 3 ? wans[0].DisposeAsync().AsTask() : died));
        await died;
        await wans[1].DisposeAsync();
        SessionEvent replayed = Assert.Single(events, e => e.Kind == SessionEventKind.Replayed);
        Assert.InRange(replayed.Milliseconds / (1.5 * rtt.TotalMilliseconds), 2, 5);
    }

    [Fact]
    public async Task A_worker_that_moved_is_resumed_at_its_new_address()
    {
        await ServeAsync();
        int[] expected = await RunAsync([Link(Servers[1].Port)], null);
        var cutter = new ByteCutter(Servers[0].Port);
        await using GrpcLink before = Link(cutter.Port);
        await using GrpcLink after = Link(Servers[1].Port);
        Assert.Equal(before.Identity, after.Identity);

        // The first is the one picked as long as it answers: the other's answers are slower by a link in between.
        await using WanEmulator far = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, Servers[1].Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(300) });
        await using GrpcLink slow = Link(far.ListenEndPoint.Port);
        var events = new List<SessionEvent>();
        int tokens = 0;
        Task moved = Task.CompletedTask;
        Assert.Equal(expected, await RunAsync([before, slow], events, onToken: () => moved = ++tokens == 3 ? cutter.DisposeAsync().AsTask() : moved));
        await moved;
        Assert.Contains(events, e => e.Kind == SessionEventKind.Resumed);
        Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.Replaying);
    }

    [Fact]
    public async Task A_full_worker_is_waited_for()
    {
        await using GrpcLink link = Link(Servers[0].Port);
        int[] expected = await RunAsync([link], null);
        Assert.Equal(0, await EventuallyAsync(() => Endpoint.KvTokensUsed, 0));

        // Another session holds nearly all there is, and leaves after a while.
        RemoteMiddle other = await OpenAsync([link], null);
        await other.SubmitAsync(default, Enumerable.Range(1, 240).Select(static i => new Engine.TreeRow((ulong)i, (ulong)(i - 1))).ToArray(), new float[240 * Model.Config.HiddenSize], TestContext.Current.CancellationToken);
        await other.ReceiveAsync(TestContext.Current.CancellationToken);
        var events = new List<SessionEvent>();
        var waited = new TaskCompletionSource();
        Task<int[]> running = RunAsync([link], events, onEvent: e => _ = e.Kind == SessionEventKind.Waiting && waited.TrySetResult());
        await waited.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await other.DisposeAsync();
        Assert.Equal(expected, await running);
        Assert.Contains(events, e => e.Kind == SessionEventKind.Waiting);
    }

    [Fact]
    public async Task A_closed_session_leaves_nothing_however_slow_the_link()
    {
        await using WanEmulator wan = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, Servers[0].Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(30) });
        await using GrpcLink link = Link(wan.ListenEndPoint.Port);
        for (int i = 0; i < 10; i++)
        {
            await (await OpenAsync([link], null)).DisposeAsync();
        }

        Assert.Equal(0, await EventuallyAsync(() => Endpoint.Sessions, 0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_whose_link_is_lost_as_it_ends_leaves_nothing(bool inSilence)
    {
        await using var cutter = new ByteCutter(Servers[0].Port);
        await using GrpcLink link = Link(cutter.Port);
        RemoteMiddle middle = await OpenAsync([link], null);
        await middle.SubmitAsync(default, new[] { new Engine.TreeRow(1, 0) }, new float[Model.Config.HiddenSize], TestContext.Current.CancellationToken);
        await middle.ReceiveAsync(TestContext.Current.CancellationToken);
        Assert.Equal((1, 1), (Endpoint.Sessions, Endpoint.KvTokensUsed));
        if (inSilence)
        {
            cutter.Freeze();
        }
        else
        {
            cutter.CutFirst();
        }

        await middle.DisposeAsync();
        Assert.Equal((0, 0), await EventuallyAsync(() => (Endpoint.Sessions, Endpoint.KvTokensUsed), (0, 0)));
    }

    private static async Task<T> EventuallyAsync<T>(Func<T> value, T expected)
    {
        for (int i = 0; i < 2000 && !Equals(value(), expected); i++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        return value();
    }
}
