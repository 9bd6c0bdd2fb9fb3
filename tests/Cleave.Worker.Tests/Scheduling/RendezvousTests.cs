using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Sessions;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Scheduling;

/// <summary>When a pass waits for the sessions of the last one, with passes of 10 ms.</summary>
public sealed class RendezvousTests : IDisposable
{
    private readonly FairQueue _queue = new();
    private readonly ManualTime _time = new();
    private readonly CpuDevice _device = new(threads: 1);
    private readonly KvPool _pool;
    private readonly WorkerSession[] _sessions;
    private readonly Rendezvous _rendezvous;

    public RendezvousTests()
    {
        var context = new SessionContext(new ServingLimits(), new ServingShape(8, 512, 1 << 20, 32, 100), new ByteBudget(1 << 30), _time);
        _pool = new KvPool(_device.AllocateKv(1, 1, 32, ElementType.F32));
        var account = new TenantAccount("t", new TenantTable(), _time);
        _sessions = [.. Enumerable.Range(0, 4).Select(i => new WorkerSession(context, account, i, 1, WireType.F32, new KvCache(_pool, 1, 1)))];
        _rendezvous = new Rendezvous(_queue, _time);
    }

    public void Dispose()
    {
        _pool.Dispose();
        _device.Dispose();
    }

    [Fact]
    public void A_pass_waits_for_those_that_answer_within_a_fraction_of_it()
    {
        Round(turnaroundMs: 2);
        Queue(0);
        Assert.InRange(_rendezvous.Wait().TotalMilliseconds, 1, 3);
        Queue(1, 2, 3);
        Assert.Equal(TimeSpan.Zero, _rendezvous.Wait());
    }

    [Fact]
    public void It_does_not_wait_over_a_wide_area_link() => Expect(waits: false, turnaroundMs: 80, queued: [0]);

    [Theory]
    [InlineData(14, true)]
    [InlineData(16, false)]
    public void It_waits_for_those_that_take_half_as_long_again_as_a_pass(double turnaroundMs, bool waits) => Expect(waits, turnaroundMs, queued: [0]);

    [Fact]
    public void It_waits_for_one_that_would_else_hold_up_all_with_a_pass_of_its_own() => Expect(waits: true, turnaroundMs: 5, queued: [0, 1, 2]);

    [Fact]
    public void A_time_that_was_once_long_does_not_hide_the_usual_one()
    {
        Round(turnaroundMs: 2);
        Round(turnaroundMs: 14);
        Queue(0);
        Assert.InRange(_rendezvous.Wait().TotalMilliseconds, 2, 6);
    }

    [Fact]
    public void It_does_not_wait_with_nothing_to_run() => Expect(waits: false, turnaroundMs: 2, queued: []);

    [Fact]
    public void It_gives_up_on_one_that_does_not_come()
    {
        Round(turnaroundMs: 2);
        Queue(0);
        _time.Advance(TimeSpan.FromMilliseconds(3));
        Assert.Equal(TimeSpan.Zero, _rendezvous.Wait());
    }

    private void Expect(bool waits, double turnaroundMs, int[] queued)
    {
        Round(turnaroundMs);
        Queue(queued);
        Assert.Equal(waits, _rendezvous.Wait() > TimeSpan.Zero);
    }

    /// <summary>A pass of all, answered; their next frames after that time; and a pass of those.</summary>
    private void Round(double turnaroundMs)
    {
        Pass();
        _time.Advance(TimeSpan.FromMilliseconds(turnaroundMs));
        foreach (WorkerSession session in _sessions)
        {
            Rendezvous.Took(session, new PendingTruncate(1, _time.GetTimestamp(), 0));
        }

        Pass();
    }

    private void Pass()
    {
        long started = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromMilliseconds(10));
        _rendezvous.PassDone(started, _sessions);
    }

    private void Queue(params int[] sessions)
    {
        foreach (int session in sessions)
        {
            _queue.Enqueue(_sessions[session], new PendingTruncate(1, _time.GetTimestamp(), 0));
        }
    }
}
