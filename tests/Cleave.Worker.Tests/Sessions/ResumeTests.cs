using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

public sealed class ResumeTests
{
    [Fact]
    public async Task The_stream_may_be_lost_at_every_frame_boundary()
    {
        await using var worker = new TestWorker();
        int w = worker.Width;
        const int Steps_ = 8;

        // Cut after 2k frames sent and k..2k received: replies on their way, or none.
        for (int cut = 0; cut <= Steps_; cut++)
        {
            for (int receivedBeforeCut = Math.Max(0, cut - 2); receivedBeforeCut <= cut; receivedBeforeCut++)
            {
                TestClient client = await TestClient.OpenAsync(worker.Link());
                var results = new Dictionary<ulong, float[]>();
                for (ulong seq = 1; seq <= (ulong)cut; seq++)
                {
                    await client.SendAsync(Step(seq, (ulong)results.Count));
                    if (results.Count < receivedBeforeCut)
                    {
                        results[seq] = client.Decode(await client.RowsAsync());
                    }
                }

                await client.DisposeAsync();
                TestClient again = await client.ResumeAsync(worker.Link(), (ulong)results.Count);
                Assert.Equal(client.Opened.SessionId.ToArray(), again.Opened.SessionId.ToArray());

                // What the worker had applied comes by itself; what it had not, the client sends again. Sending more than needed does no harm.
                for (ulong seq = (ulong)results.Count + 1; seq <= Steps_; seq++)
                {
                    if (seq > again.Opened.ResumedSeq)
                    {
                        await again.SendAsync(Step(seq, seq - 1));
                    }

                    RowsFrame rows = await again.RowsAsync();
                    Assert.Equal(seq, rows.Seq);
                    results[seq] = again.Decode(rows);
                }

                Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 4, 5, 6, 7, 8], seed: 3), results[Steps_]);
                await again.SendAsync(new CloseFrame());
                Assert.Null(await again.ReceiveAsync());
                await again.DisposeAsync();
            }
        }

        await Eventually.Holds(() => worker.Endpoint is { Sessions: 0, KvTokensUsed: 0 });

        StepFrame Step(ulong seq, ulong ack) => Steps.Make(w, seq, [(seq, seq - 1)], keep: seq == 1 ? [] : [seq - 1], ack: ack, seed: 3);
    }

    [Fact]
    public async Task Resuming_takes_over_and_evicts_the_old_stream()
    {
        await using var worker = new TestWorker();
        await using TestClient first = await TestClient.OpenAsync(worker.Link());
        await first.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
        await using TestClient second = await first.ResumeAsync(worker.Link(), 1);
        WireError error = await first.ErrorAsync();
        Assert.Equal((WireErrorCode.TakenOver, true), (error.Code, error.SessionSurvives));
        Assert.Null(await first.ReceiveAsync());
        Assert.Equal(1ul, second.Opened.ResumedSeq);
        await second.RunAsync(Steps.Make(worker.Width, 2, [(2, 1)], ack: 1));
        Assert.Equal(1, worker.Endpoint.Sessions);
    }

    [Fact]
    public async Task Many_streams_fighting_over_a_session_leave_it_whole()
    {
        await using var worker = new TestWorker();
        TestClient owner = await TestClient.OpenAsync(worker.Link());
        await owner.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
        TestClient[] fighters = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => owner.ResumeAsync(worker.Link(), 0)));
        int ended = 0;
        foreach (TestClient fighter in fighters)
        {
            await fighter.DisposeAsync();
            ended++;
        }

        await owner.DisposeAsync();
        Assert.Equal(12, ended);
        await using TestClient last = await owner.ResumeAsync(worker.Link(), 0);
        Assert.Equal(1ul, (await last.RowsAsync()).Seq);
        Assert.Equal(Steps.Alone(worker.Model, [1, 2]), await last.RunAsync(Steps.Make(worker.Width, 2, [(2, 1)], ack: 1)));
    }

    [Fact]
    public async Task An_unknown_session_a_wrong_secret_and_another_tenants_session_look_the_same()
    {
        await using var worker = new TestWorker();
        await using TestClient alice = await TestClient.OpenAsync(worker.Link("alice"));
        byte[] secret = alice.Opened.Secret.ToArray();
        secret[15] ^= 1;
        WireError unknown = await Refused("alice", new ResumeTicket(new byte[16], alice.Opened.Secret, 0));
        WireError wrongSecret = await Refused("alice", new ResumeTicket(alice.Opened.SessionId, secret, 0));
        WireError othersSession = await Refused("bob", new ResumeTicket(alice.Opened.SessionId, alice.Opened.Secret, 0));
        WireError otherWire = await TestClient.RefusedAsync(worker.Link("bob"), TestClient.Open(wireType: WireType.Q8, resume: alice.Ticket(0)));
        WireError otherSeq = await Refused("bob", new ResumeTicket(alice.Opened.SessionId, alice.Opened.Secret, 99));
        Assert.Equal(WireErrorCode.UnknownSession, unknown.Code);
        Assert.All([wrongSecret, othersSession, otherWire, otherSeq], error => Assert.Equal(unknown, error));

        // None of it touched the session or its stream.
        await alice.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));

        Task<WireError> Refused(string tenant, ResumeTicket ticket) => TestClient.RefusedAsync(worker.Link(tenant), TestClient.Open(resume: ticket));
    }

    [Fact]
    public async Task A_resume_that_does_not_fit_is_refused_and_the_session_stays()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        await client.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
        await client.RunAsync(Steps.Make(worker.Width, 2, [(2, 1)], ack: 1));
        WireError wire = await TestClient.RefusedAsync(worker.Link(), TestClient.Open(wireType: WireType.Q8, resume: client.Ticket(2)));
        Assert.Equal((WireErrorCode.UnsupportedWireType, true), (wire.Code, wire.SessionSurvives));
        WireError acked = await TestClient.RefusedAsync(worker.Link(), TestClient.Open(resume: client.Ticket(0)));
        Assert.Equal((WireErrorCode.OutOfOrder, true), (acked.Code, acked.SessionSurvives));
        Assert.Contains("replies 2 to 2 are still here", acked.Message);
        WireError future = await TestClient.RefusedAsync(worker.Link(), TestClient.Open(resume: client.Ticket(3)));
        Assert.Equal(WireErrorCode.OutOfOrder, future.Code);
        await client.RunAsync(Steps.Make(worker.Width, 3, [(3, 2)], ack: 2));
    }

    [Fact]
    public async Task Idle_sessions_expire_and_say_so()
    {
        var time = new ManualTime();
        await using var worker = new TestWorker(new ServingLimits { IdleTimeout = TimeSpan.FromMinutes(8) }, time: time);
        await using TestClient quiet = await TestClient.OpenAsync(worker.Link());
        TestClient lost = await TestClient.OpenAsync(worker.Link());
        await using TestClient busy = await TestClient.OpenAsync(worker.Link());
        await lost.RunAsync(Steps.Make(worker.Width, 1, Steps.Chain(1, 5, 0)));
        await lost.DisposeAsync();
        for (int minute = 0; minute < 9; minute++)
        {
            time.Advance(TimeSpan.FromMinutes(1));
            await busy.SendAsync(new PingFrame(1));
            Assert.IsType<PongFrame>(await busy.ReceiveAsync());
        }

        WireError error = await quiet.ErrorAsync();
        Assert.Equal((WireErrorCode.Expired, false), (error.Code, error.SessionSurvives));
        Assert.Equal(1, worker.Endpoint.Sessions);
        await Eventually.Holds(() => worker.Endpoint.KvTokensUsed == 0);
        WireError gone = await TestClient.RefusedAsync(worker.Link(), TestClient.Open(resume: lost.Ticket(1)));
        Assert.Equal(WireErrorCode.UnknownSession, gone.Code);
        Assert.Contains("idle for more than 480 s", gone.Message);
        await busy.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
    }

    [Fact]
    public async Task A_session_that_holds_nothing_goes_soon_after_its_stream()
    {
        var time = new ManualTime();
        await using var worker = new TestWorker(time: time);
        await using TestClient attached = await TestClient.OpenAsync(worker.Link());
        TestClient unused = await TestClient.OpenAsync(worker.Link());
        TestClient used = await TestClient.OpenAsync(worker.Link());
        await used.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
        await unused.DisposeAsync();
        await used.DisposeAsync();

        // From when its stream was found gone.
        await Eventually.Holds(() =>
        {
            time.Advance(worker.Limits.PressureIdleTimeout / 10);
            return worker.Endpoint.Sessions == 2;
        });
        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(worker.Link(), TestClient.Open(resume: unused.Ticket(0)))).Code);
        await using TestClient again = await used.ResumeAsync(worker.Link(), 1);
        await attached.RunAsync(Steps.Make(worker.Width, 1, [(1, 0)]));
    }

    [Fact]
    public async Task A_stream_that_never_opens_is_ended()
    {
        var time = new ManualTime();

        // The clock goes on while the refusal is on its way: that has time.
        await using var worker = new TestWorker(new ServingLimits { OpenTimeout = TimeSpan.FromSeconds(10), GoodbyeTimeout = TimeSpan.FromDays(1) }, time: time);
        await using var stream = await worker.Link().OpenStreamAsync(default);
        ValueTask<WorkerFrame?> answer = stream.ReceiveAsync(default);
        await Eventually.Holds(() =>
        {
            time.Advance(TimeSpan.FromSeconds(2));
            return answer.IsCompleted;
        });
        Assert.Contains("No open frame came within 10 s", Assert.IsType<ErrorFrame>(await answer).Error.Message);
        Assert.Null(await stream.ReceiveAsync(default));
    }
}
