using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Tests;
using Cleave.Protocol.Wan;
using Cleave.Worker;
using Cleave.Worker.Hosting;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Over real gRPC and TLS: connections reset at random bytes, long silences, moved workers, full workers.</summary>
public sealed class NetworkSurvivalTests : IAsyncLifetime
{
    private static readonly LayerRange s_middle = new(1, 2);
    private static readonly TimeSpan s_rtt = TimeSpan.FromMilliseconds(400);
    private static readonly string s_token = PairingLink.NewToken();

    private readonly CpuDevice _device = new(threads: 1);
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly List<WorkerServer> _servers = [];
    private readonly TenantTable _tenants = new();
    private TrustedModel _model = null!;
    private WorkerModel _workerModel = null!;
    private WorkerEndpoint _endpoint = null!;

    public async ValueTask InitializeAsync()
    {
        IModelSource source = ModelSource.Open(DemoModel.DraftPath);
        _model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), new Cut(1, 1), 1024);
        _workerModel = WorkerModel.Load(ModelSource.Open(DemoModel.DraftPath), _device, s_middle, 256);
        _tenants.Replace([new Tenant("alice", TenantTable.HashToken(s_token), new TenantQuota { Sessions = 100, Streams = 100, Connections = 100 }, default)]);
        _endpoint = new WorkerEndpoint(_workerModel, _tenants);
        await ServeAsync();
    }

    [Fact]
    public async Task A_connection_reset_at_any_byte_is_resumed_with_the_same_tokens()
    {
        int[] expected;
        long up;
        long down;
        long openedUp = 0;
        long openedDown = 0;
        await using (var whole = new ByteCutter(_servers[0].Port))
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
            await using var cutter = new ByteCutter(_servers[0].Port) { CutAt = (isUp, at) };
            await using GrpcLink link = Link(cutter.Port);
            var events = new List<SessionEvent>();
            Assert.Equal(expected, await RunAsync([link], events));
            Assert.DoesNotContain(events, e => e.Kind is SessionEventKind.Replaying);
            resumed += events.Any(e => e.Kind is SessionEventKind.Resumed || e.Message.StartsWith("while the session was being opened", StringComparison.Ordinal)) ? 1 : 0;
        }

        Assert.InRange(resumed, 36, 40);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_all_connections_are_lost_an_answer_takes_two_round_trips(bool migrates)
    {
        // TCP's handshake, and the reserve's TLS goes on over it: the ticket with the lost frames behind it and their answers. Where connections do not
        // migrate, TLS 1.3 besides, less TCP's where the TLS greeting can go with the SYN. Of the link's own time; of several losses the
        // quickest, since the machine may be busy.
        bool isTwo = migrates || FastOpenHost.Serves;
        await using WanEmulator wan = Wan(s_rtt);
        await using GrpcLink link = WarmLink(wan, migrates);
        double[] roundTrips = await LoseAllAsync(link, wan, migrates ? [7, 12, 17, 22] : [7, 12]);
        Assert.InRange(roundTrips.Min(), isTwo ? 1.5 : 2.5, isTwo ? 2.6 : 3.6);
    }

    [Fact]
    public async Task After_all_connections_are_lost_to_a_worker_that_moved_it_takes_two_round_trips_too()
    {
        // Its name stands for another address after each loss.
        await using WanEmulator one = Wan(s_rtt);
        int port = one.ListenEndPoint.Port;
        await using WanEmulator other = WanEmulator.Start(
            new IPEndPoint(IPAddress.Parse("127.0.0.2"), port), new IPEndPoint(IPAddress.Loopback, _servers[0].Port), new WanOptions { Rtt = s_rtt });
        WanEmulator now = one;
        await using GrpcLink link = new(
            new PairingLink("worker.example", port, SHA256.HashData(_key.ExportSubjectPublicKeyInfo()), s_token),
            new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero, Resolve = (_, _) => Task.FromResult(new[] { now.ListenEndPoint.Address }) });
        double[] roundTrips = await LoseAllAsync(link, one, [7, 12], cut: () =>
        {
            now = now == one ? other : one;
            one.CutNow(TimeSpan.Zero);
            other.CutNow(TimeSpan.Zero);
        });
        Assert.InRange(roundTrips.Min(), 1.5, 2.6);
        Assert.InRange(other.ConnectionCount, 2, 4);
    }

    [Fact]
    public async Task Lost_frames_that_would_not_fit_a_new_connections_window_go_out_behind_the_ticket()
    {
        // A prompt in one frame, lost on its way with all connections: it goes out over the reserve's, whose window is there.
        int[] prompt = [.. Enumerable.Repeat(DemoModel.GreedyCases[1].PromptIds, 30).SelectMany(static ids => ids).Take(200)];
        Assert.InRange(prompt.Length * _model.Config.HiddenSize * sizeof(float), WorkerMethods.AheadBytes + 1, WorkerMethods.WarmAheadBytes - 10_000);
        int[] expected = await RunAsync([Link(_servers[0].Port)], null, prompt: prompt);
        await using WanEmulator wan = Wan(s_rtt);
        var roundTrips = new List<double>();
        for (int round = 0; round < 3; round++)
        {
            await using GrpcLink link = WarmLink(wan);
            var clock = Stopwatch.StartNew();
            double lostAt = 0;
            double answeredAt = 0;
            Task cut = Task.CompletedTask;
            Assert.Equal(expected, await RunAsync(
                [link], null, prompt: prompt,
                opened: () =>
                {
                    Thread.Sleep(4 * s_rtt);
                    cut = Task.Delay(0.45 * s_rtt, TestContext.Current.CancellationToken).ContinueWith(_ => wan.CutNow(TimeSpan.Zero), TaskScheduler.Default);
                },
                onToken: () => answeredAt = answeredAt > 0 ? answeredAt : clock.Elapsed.TotalMilliseconds,
                onEvent: happened => lostAt = happened.Kind == SessionEventKind.LinkLost ? clock.Elapsed.TotalMilliseconds : lostAt));
            await cut;
            Assert.InRange(lostAt, 1, answeredAt);
            roundTrips.Add((answeredAt - lostAt) / s_rtt.TotalMilliseconds);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"From the loss to the first token: {string.Join(", ", roundTrips.Select(static each => each.ToString("F2", CultureInfo.InvariantCulture)))} round trips.");
        Assert.InRange(roundTrips.Min(), 1.5, 2.7);
    }

    [Fact]
    public async Task With_a_connection_in_reserve_a_resume_takes_one_round_trip()
    {
        // The first connection breaks, the reserve does not: the open frame and its answer are all.
        TimeSpan rtt = TimeSpan.FromMilliseconds(200);
        await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, _servers[0].Port), new WanOptions { Rtt = rtt });
        await using GrpcLink plain = Link(_servers[0].Port);
        int[] expected = await RunAsync([plain], null);
        await using var cutter = new ByteCutter(wan.ListenEndPoint.Port);
        await using GrpcLink link = new(
            new PairingLink("127.0.0.1", cutter.Port, SHA256.HashData(_key.ExportSubjectPublicKeyInfo()), s_token), new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero });
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
        Assert.InRange(resumed.Milliseconds / rtt.TotalMilliseconds, 0.95, 2.2);

        // And there is a reserve again: the first connection, the reserve, and one in place of the lost one.
        Assert.Equal(3, await EventuallyAsync(() => cutter.Connections, 3));
    }

    [Fact]
    public async Task Connections_that_die_in_silence_are_noticed_and_left()
    {
        await using GrpcLink plain = Link(_servers[0].Port);
        int[] expected = await RunAsync([plain], null);
        await using var cutter = new ByteCutter(_servers[0].Port);
        await using GrpcLink link = new(
            new PairingLink("127.0.0.1", cutter.Port, SHA256.HashData(_key.ExportSubjectPublicKeyInfo()), s_token),
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
        WanEmulator[] wans = [.. _servers.Select(server => WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, server.Port), new WanOptions { Rtt = server == _servers[0] ? rtt : 1.5 * rtt }))];
        await using GrpcLink first = Link(wans[0].ListenEndPoint.Port);
        await using GrpcLink second = Link(wans[1].ListenEndPoint.Port, otherKey);
        int[] expected = await RunAsync([Link(_servers[0].Port)], null);
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
        int[] expected = await RunAsync([Link(_servers[1].Port)], null);
        var cutter = new ByteCutter(_servers[0].Port);
        await using GrpcLink before = Link(cutter.Port);
        await using GrpcLink after = Link(_servers[1].Port);
        Assert.Equal(before.Identity, after.Identity);

        // The first is the one picked as long as it answers: the other's answers are slower by a link in between.
        await using WanEmulator far = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, _servers[1].Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(60) });
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
        await using GrpcLink link = Link(_servers[0].Port);
        int[] expected = await RunAsync([link], null);
        Assert.Equal(0, await EventuallyAsync(() => _endpoint.KvTokensUsed, 0));

        // Another session holds nearly all there is, and leaves after a while.
        RemoteMiddle other = await OpenAsync([link], null);
        await other.SubmitAsync(default, Enumerable.Range(1, 240).Select(static i => new Engine.TreeRow((ulong)i, (ulong)(i - 1))).ToArray(), new float[240 * _model.Config.HiddenSize], TestContext.Current.CancellationToken);
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
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, _servers[0].Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(30) });
        await using GrpcLink link = Link(wan.ListenEndPoint.Port);
        for (int i = 0; i < 10; i++)
        {
            await (await OpenAsync([link], null)).DisposeAsync();
        }

        Assert.Equal(0, await EventuallyAsync(() => _endpoint.Sessions, 0));
    }

    public async ValueTask DisposeAsync()
    {
        await _endpoint.DisposeAsync();
        foreach (WorkerServer server in _servers)
        {
            await server.DisposeAsync();
        }

        _workerModel.Dispose();
        _device.Dispose();
        _model.Dispose();
        _key.Dispose();
    }

    private static async Task<T> EventuallyAsync<T>(Func<T> value, T expected)
    {
        for (int i = 0; i < 500 && !Equals(value(), expected); i++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        return value();
    }

    private async Task ServeAsync(ECDsa? key = null)
    {
        var request = new CertificateRequest("CN=worker", key ?? _key, HashAlgorithmName.SHA256);
        X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        _servers.Add(await WorkerServer.StartAsync(
            _endpoint, _tenants, certificate, new IPEndPoint(IPAddress.Loopback, 0), new ServingLimits(), cancellationToken: TestContext.Current.CancellationToken));
    }

    private GrpcLink Link(int port, ECDsa? key = null) => new(new PairingLink("127.0.0.1", port, SHA256.HashData((key ?? _key).ExportSubjectPublicKeyInfo()), s_token));

    private WanEmulator Wan(TimeSpan rtt) =>
        WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, _servers[0].Port), new WanOptions { Rtt = rtt });

    /// <summary>A link whose reserve is made at once.</summary>
    private GrpcLink WarmLink(WanEmulator wan, bool migrates = true) => new(
        new PairingLink("127.0.0.1", wan.ListenEndPoint.Port, SHA256.HashData(_key.ExportSubjectPublicKeyInfo()), s_token),
        new GrpcLinkOptions { ReserveDelay = TimeSpan.Zero, Migrates = migrates });

    /// <summary>Loses all connections at these tokens: the round trips from each loss as it is noticed to the next token. The tokens are those of an undisturbed run.</summary>
    private async Task<double[]> LoseAllAsync(GrpcLink link, WanEmulator wan, int[] at, Action? cut = null)
    {
        var clock = Stopwatch.StartNew();
        var lostAt = new List<double>();
        var answeredAt = new List<double>();
        int tokens = 0;
        int[] expected = await RunAsync([Link(_servers[0].Port)], null, decoder: "sequential", maxTokens: at[^1] + 2);
        Assert.Equal(expected, await RunAsync(
            [link], null, decoder: "sequential", maxTokens: at[^1] + 2,
            onToken: () =>
            {
                if (answeredAt.Count < lostAt.Count)
                {
                    answeredAt.Add(clock.Elapsed.TotalMilliseconds);
                }

                if (at.Contains(++tokens))
                {
                    (cut ?? (() => wan.CutNow(TimeSpan.Zero)))();
                }
            },
            onEvent: happened =>
            {
                if (happened.Kind == SessionEventKind.LinkLost && lostAt.Count == answeredAt.Count)
                {
                    lostAt.Add(clock.Elapsed.TotalMilliseconds);
                }
            }));
        double[] roundTrips = [.. answeredAt.Zip(lostAt, (answered, lost) => (answered - lost) / s_rtt.TotalMilliseconds)];
        TestContext.Current.TestOutputHelper?.WriteLine($"From the loss to the next token: {string.Join(", ", roundTrips.Select(static each => each.ToString("F2", CultureInfo.InvariantCulture)))} round trips.");
        Assert.Equal(at.Length, roundTrips.Length);
        return roundTrips;
    }

    private Task<RemoteMiddle> OpenAsync(ILink[] links, Action<SessionEvent>? onEvent) => RemoteMiddle.OpenAsync(
        new WorkerRoster(links, _ => { }),
        new RemoteMiddleOptions { Range = s_middle, HiddenSize = _model.Config.HiddenSize, MaxTokens = 250, Events = onEvent },
        TestContext.Current.CancellationToken);

    private async Task<int[]> RunAsync(ILink[] links, List<SessionEvent>? events, Action? opened = null, Action? onToken = null, Action<SessionEvent>? onEvent = null, string decoder = "suffix", int maxTokens = 10, int[]? prompt = null)
    {
        RemoteMiddle middle = await OpenAsync(links, happened =>
        {
            events?.Add(happened);
            onEvent?.Invoke(happened);
        });
        opened?.Invoke();
        await using TextGenerator generator = new(new SplitSession(_model, middle, 250), DecoderCatalog.Create(decoder, new DrafterContext()), knownRttMs: 10);
        var tokens = new List<int>();
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = maxTokens, PrefillChunkRows = prompt is null ? 4 : 256, StopAtEndOfTurn = false } };
        await foreach (DecodedToken token in generator.GenerateAsync(prompt ?? DemoModel.GreedyCases[1].PromptIds, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
            onToken?.Invoke();
        }

        return [.. tokens];
    }
}
