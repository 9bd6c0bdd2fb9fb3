using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Sessions;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Scheduling;

/// <summary>When the compute thread stays awake, for at most 5 ms.</summary>
public sealed class VigilTests : IDisposable
{
    private static readonly TimeSpan s_most = TimeSpan.FromMilliseconds(5);

    private readonly ManualTime _time = new();
    private readonly CpuDevice _device = new(threads: 1);
    private readonly KvPool _pool;
    private readonly WorkerSession _near;
    private readonly WorkerSession _far;

    public VigilTests()
    {
        var context = new SessionContext(new ServingLimits(), new ServingShape(8, 512, 1 << 20, 32, 100), new ByteBudget(1 << 30), _time);
        _pool = new KvPool(_device.AllocateKv(1, 1, 32, ElementType.F32));
        var account = new TenantAccount("t", new TenantTable(), _time);
        _near = new WorkerSession(context, account, 0, 1, WireType.F32, new KvCache(_pool, 1, 1));
        _far = new WorkerSession(context, account, 1, 1, WireType.F32, new KvCache(_pool, 1, 1));
    }

    public void Dispose()
    {
        _pool.Dispose();
        _device.Dispose();
    }

    [Fact]
    public void It_begins_a_little_before_the_step_is_due()
    {
        var vigil = new Vigil(_time, s_most);
        Answered(_near, 80);
        vigil.PassDone([_near, _near]);
        Assert.Equal(78, vigil.UntilBegins()!.Value.TotalMilliseconds, 3);
        _time.Advance(TimeSpan.FromMilliseconds(79));
        Assert.Equal(-1, vigil.UntilBegins()!.Value.TotalMilliseconds, 3);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(3000)]
    public void It_is_not_kept_for_a_session_not_heard_of_yet_nor_over_very_short_or_long_ways(double turnaroundMs)
    {
        var vigil = new Vigil(_time, s_most);
        Answered(_near, turnaroundMs);
        vigil.PassDone([_near]);
        Assert.Null(vigil.UntilBegins());
    }

    [Fact]
    public void It_is_not_kept_for_several_sessions()
    {
        var vigil = new Vigil(_time, s_most);
        Answered(_near, 80);
        Answered(_far, 80);
        vigil.PassDone([_near, _far]);
        Assert.Null(vigil.UntilBegins());
    }

    [Fact]
    public void It_can_be_switched_off()
    {
        var vigil = new Vigil(_time, TimeSpan.Zero);
        Answered(_near, 80);
        vigil.PassDone([_near]);
        Assert.Null(vigil.UntilBegins());
    }

    [Fact]
    public void It_ends_with_the_step_or_without_it_and_is_then_over()
    {
        var vigil = new Vigil(TimeProvider.System, s_most);
        using var wake = new AutoResetEvent(true);
        foreach (bool comes in new[] { true, false })
        {
            _near.AnsweredAt = TimeProvider.System.GetTimestamp() - Ticks(20);
            _near.Turnaround = Ticks(21);
            vigil.PassDone([_near]);
            Assert.NotNull(vigil.UntilBegins());
            Assert.Equal(comes, vigil.Keep(wake));
            Assert.Null(vigil.UntilBegins());
        }
    }

    private static long Ticks(double ms) => (long)(ms / 1000 * TimeProvider.System.TimestampFrequency);

    private void Answered(WorkerSession session, double turnaroundMs)
    {
        session.AnsweredAt = _time.GetTimestamp();
        session.Turnaround = (long)(turnaroundMs / 1000 * _time.TimestampFrequency);
    }
}
