using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

public sealed class QuotaTests
{
    [Fact]
    public async Task Sessions_per_tenant()
    {
        var time = new ManualTime();
        await using var worker = new TestWorker(tenants: Tenants(new TenantQuota { Sessions = 2 }), time: time);
        Assert.Equal(2, worker.Endpoint.Describe("alice").Limits.MaxSessionsPerTenant);
        await using TestClient first = await TestClient.OpenAsync(worker.Link());
        TestClient second = await TestClient.OpenAsync(worker.Link());
        WireError full = await TestClient.RefusedAsync(worker.Link(), TestClient.Open());
        Assert.Equal(WireErrorCode.QuotaExceeded, full.Code);
        Assert.InRange(full.RetryAfterMs, 100, 60_000);
        await using TestClient other = await TestClient.OpenAsync(worker.Link("bob"));

        // A session whose stream is lost keeps its place for a while, then gives it up to a new one.
        await second.DisposeAsync();
        Assert.Equal(WireErrorCode.QuotaExceeded, (await TestClient.RefusedAsync(worker.Link(), TestClient.Open())).Code);
        time.Advance(worker.Limits.PressureIdleTimeout);
        await using TestClient third = await TestClient.OpenAsync(worker.Link());
        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(worker.Link(), TestClient.Open(resume: second.Ticket(0)))).Code);

        // Both have streams now: neither is evicted for a third.
        time.Advance(worker.Limits.PressureIdleTimeout);
        Assert.Equal(WireErrorCode.QuotaExceeded, (await TestClient.RefusedAsync(worker.Link(), TestClient.Open())).Code);

        // A fork is a session, too.
        await first.SendAsync(new ForkFrame(1, 0));
        WireError fork = await first.ErrorAsync();
        Assert.Equal((WireErrorCode.QuotaExceeded, true, 1ul), (fork.Code, fork.SessionSurvives, fork.Seq));
    }

    [Fact]
    public async Task Sessions_in_all()
    {
        await using var worker = new TestWorker(new ServingLimits { MaxSessions = 2 });
        await using TestClient first = await TestClient.OpenAsync(worker.Link("alice"));
        await using (TestClient second = await TestClient.OpenAsync(worker.Link("bob")))
        {
            WireError full = await TestClient.RefusedAsync(worker.Link("carol"), TestClient.Open());
            Assert.Equal(WireErrorCode.Busy, full.Code);
            Assert.InRange(full.RetryAfterMs, 100, 60_000);
            await second.SendAsync(new CloseFrame());
            Assert.Null(await second.ReceiveAsync());
        }

        await using TestClient third = await TestClient.OpenAsync(worker.Link("carol"));
    }

    [Fact]
    public async Task Streams_per_tenant()
    {
        await using var worker = new TestWorker(tenants: Tenants(new TenantQuota { Streams = 2 }));
        await using ILinkStream halfOpen = await worker.Link().OpenStreamAsync(default);
        await using TestClient first = await TestClient.OpenAsync(worker.Link());
        await using (ILinkStream third = await worker.Link().OpenStreamAsync(default))
        {
            WireError full = Assert.IsType<ErrorFrame>(await third.ReceiveAsync(default)).Error;
            Assert.Equal(WireErrorCode.QuotaExceeded, full.Code);
            Assert.Contains("2 streams", full.Message);
        }

        await halfOpen.DisposeAsync();
        await using TestClient next = await TestClient.OpenAsync(worker.Link());
    }

    [Fact]
    public async Task Kv_tokens_per_session_and_tenant()
    {
        await using var worker = new TestWorker(tenants: Tenants(new TenantQuota { KvTokens = 20 }));
        Assert.Equal(20, worker.Endpoint.Describe("alice").Limits.MaxKvTokensPerTenant);
        int w = worker.Width;
        await using TestClient first = await TestClient.OpenAsync(worker.Link(), maxKvTokens: 12);
        await using TestClient second = await TestClient.OpenAsync(worker.Link());
        await first.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 10, 0)));
        await first.SendAsync(Steps.Make(w, 2, Steps.Chain(11, 13, 10)));
        Assert.Contains("room for 2 of its 12", (await first.ErrorAsync()).Message);
        await second.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 8, 0)));
        await second.SendAsync(Steps.Make(w, 2, Steps.Chain(9, 11, 8), keep: [1, 2, 3, 4]));
        WireError full = await second.ErrorAsync();
        Assert.Equal(WireErrorCode.QuotaExceeded, full.Code);
        Assert.Contains("adds 3 rows to the tenant's 18; its cap is 20", full.Message);
        await second.SendAsync(new ForkFrame(2, 1));
        Assert.Contains("A fork counts 4 KV tokens", (await second.ErrorAsync()).Message);

        // Another tenant is not concerned, and room made is room had: the refused step, sent again, is applied once.
        await using TestClient other = await TestClient.OpenAsync(worker.Link("bob"));
        await other.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 30, 0)));
        await first.SendAsync(new TruncateFrame(2, 1, 0));
        await first.RowsAsync();
        float[] rows = await second.RunAsync(Steps.Make(w, 2, Steps.Chain(9, 11, 8), keep: [1, 2, 3, 4]));
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), rows[^w..]);
    }

    [Fact]
    public async Task The_worker_has_a_hard_cap_and_evicts_the_idle_before_it_refuses()
    {
        var time = new ManualTime();
        await using var worker = new TestWorker(kvTokens: 64, time: time);
        int w = worker.Width;
        TestClient idle = await TestClient.OpenAsync(worker.Link("alice"), maxKvTokens: 64);
        await idle.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 40, 0)));
        await using TestClient busy = await TestClient.OpenAsync(worker.Link("bob"), maxKvTokens: 64);
        StepFrame step = Steps.Make(w, 1, Steps.Chain(1, 30, 0));
        await busy.SendAsync(step);
        WireError full = await busy.ErrorAsync();
        Assert.Equal((WireErrorCode.Busy, true), (full.Code, full.SessionSurvives));
        Assert.Contains("30 KV tokens and all 64", full.Message);
        Assert.InRange(full.RetryAfterMs, 29_000, 31_000);
        await idle.DisposeAsync();
        time.Advance(TimeSpan.FromMilliseconds(full.RetryAfterMs));
        float[] rows = await busy.RunAsync(step);
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3]), rows[(2 * w)..(3 * w)]);
        Assert.Equal(30, worker.Endpoint.KvTokensUsed);
        Assert.Equal(1, worker.Endpoint.Sessions);
        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(worker.Link("alice"), TestClient.Open(maxKvTokens: 64, resume: idle.Ticket(1)))).Code);
    }

    [Fact]
    public async Task Slots_released_in_a_pass_serve_the_next_one()
    {
        await using var worker = new TestWorker(kvTokens: 32);
        int w = worker.Width;
        await using TestClient client = await TestClient.OpenAsync(worker.Link(), maxKvTokens: 32);
        ulong last = 0;
        var pending = new Queue<ulong>();

        // Each step keeps one row of the last, kills fifteen and adds sixteen: with 32 slots that works only if slots come back at once.
        for (ulong seq = 1; seq <= 12; seq++)
        {
            var rows = Enumerable.Range(0, 16).Select(i => (((seq - 1) * 16) + (ulong)i + 1, last)).ToArray();
            await client.SendAsync(Steps.Make(w, seq, rows, keep: last == 0 ? [] : [last], ack: seq - 1 - (ulong)pending.Count));
            last = rows[0].Item1;
            pending.Enqueue(seq);
            if (pending.Count == 2)
            {
                Assert.Equal(pending.Dequeue(), (await client.RowsAsync()).Seq);
            }
        }

        Assert.Equal(12ul, (await client.RowsAsync()).Seq);
    }

    [Fact]
    public async Task Rows_per_second()
    {
        var time = new ManualTime();
        await using var worker = new TestWorker(tenants: Tenants(new TenantQuota { RowsPerSecond = 10 }), time: time);
        int w = worker.Width;
        await using TestClient client = await TestClient.OpenAsync(worker.Link());

        // A second's worth at once, overdrawn by the last frame; then it waits, and nobody else does.
        await client.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 6, 0)));
        await client.RunAsync(Steps.Make(w, 2, Steps.Chain(7, 12, 6)));
        await client.SendAsync(Steps.Make(w, 3, [(13, 12)]));
        await using TestClient other = await TestClient.OpenAsync(worker.Link("bob"));
        await other.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 100, 0)));
        Task<RowsFrame> waiting = client.RowsAsync();
        await Eventually.Holds(() => worker.Endpoint.Describe("bob").Load.QueuedRows == 1);
        time.Advance(TimeSpan.FromMilliseconds(150));
        await other.RunAsync(Steps.Make(w, 2, [(101, 100)]));
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(100));
        RowsFrame reply = await waiting;
        Assert.InRange(reply.QueueMicros, 200_000u, 260_000u);
    }

    [Fact]
    public async Task A_revoked_tenants_sessions_end_and_the_others_go_on()
    {
        TenantTable tenants = Tenants(new TenantQuota());
        await using var worker = new TestWorker(tenants: tenants);
        await using TestClient alice = await TestClient.OpenAsync(worker.Link("alice"));
        await using TestClient bob = await TestClient.OpenAsync(worker.Link("bob"));
        tenants.Replace(tenants.Tenants.Where(t => t.Name != "alice"));
        Assert.Equal(WireErrorCode.Unauthorized, (await alice.ErrorAsync()).Code);
        await bob.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
        Assert.Equal(1, worker.Endpoint.Sessions);
    }

    [Fact]
    public async Task A_client_that_floods_and_never_reads_is_not_read_either()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        int sent = 0;
        try
        {
            while (sent < 100_000)
            {
                await client.Stream.SendAsync(new PingFrame((ulong)sent), patience.Token);
                sent++;
            }
        }
        catch (OperationCanceledException)
        {
        }

        // The link's own windows (64 frames each way) and the outbox.
        Assert.InRange(sent, 64, 300);
        await using TestClient next = await TestClient.OpenAsync(worker.Link());
        await next.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));

        // Once it reads, every ping is answered, in order.
        for (int i = 0; i < sent; i++)
        {
            Assert.Equal(new PongFrame((ulong)i), await client.ReceiveAsync());
        }
    }

    private static TenantTable Tenants(TenantQuota alices)
    {
        var table = new TenantTable();
        table.Replace([
            new Tenant("alice", TenantTable.HashToken("a"), alices, default),
            new Tenant("bob", TenantTable.HashToken("b"), new TenantQuota(), default),
        ]);
        return table;
    }
}
