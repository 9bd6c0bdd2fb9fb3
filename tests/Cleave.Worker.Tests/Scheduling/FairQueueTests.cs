using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Sessions;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Scheduling;

public sealed class FairQueueTests : IDisposable
{
    private readonly FairQueue _queue = new();
    private readonly ManualTime _time = new();
    private readonly TenantTable _table = new();
    private readonly SessionContext _context;
    private readonly CpuDevice _device = new(threads: 1);
    private readonly KvPool _pool;
    private ulong _seq;

    public FairQueueTests()
    {
        _context = new SessionContext(new ServingLimits(), new ServingShape(8, 512, 1 << 20, 32, 100), new ByteBudget(1 << 30), _time);
        _pool = new KvPool(_device.AllocateKv(1, 1, 32, ElementType.F32));
    }

    public void Dispose()
    {
        _pool.Dispose();
        _device.Dispose();
    }

    [Fact]
    public void Tenants_share_evenly_whatever_their_frames_and_sessions() =>
        Gen.Select(Gen.Int[1, 4].Array[2, 5], Gen.Int[0, 1000]).Sample(
            (sessionsPerTenant, seed) =>
            {
                var queue = new FairQueue();
                var random = new Random(seed);
                TenantAccount[] tenants = [.. sessionsPerTenant.Select((_, i) => new TenantAccount("t" + i, _table, _time))];
                var served = new Dictionary<TenantAccount, int>();
                var bySession = new Dictionary<WorkerSession, int>();
                WorkerSession[] sessions = [.. tenants.SelectMany((t, i) => Enumerable.Range(0, sessionsPerTenant[i]).Select(_ => Session(t)))];
                foreach (WorkerSession session in sessions)
                {
                    int size = random.Next(1, 20);
                    for (int i = 0; i <= 1500 / size; i++)
                    {
                        queue.Enqueue(session, Frame(size));
                    }
                }

                for (int rows = 0; rows < 1500;)
                {
                    Assert.True(queue.TryDequeue(512, out WorkerSession? session, out PendingFrame? frame));
                    served[session!.Account] = served.GetValueOrDefault(session.Account) + frame!.RowCount;
                    bySession[session] = bySession.GetValueOrDefault(session) + frame.RowCount;
                    rows += frame.RowCount;
                }

                // Nobody is ahead of anybody by more than two of the largest frames.
                Assert.InRange(served.Values.Max() - served.Values.Min(), 0, 40);
                foreach (var group in bySession.GroupBy(s => s.Key.Account))
                {
                    Assert.InRange(group.Max(s => s.Value) - group.Min(s => s.Value), 0, 40);
                }
            },
            iter: 50);

    [Fact]
    public void Frames_of_a_session_keep_their_order_and_a_large_one_is_not_starved()
    {
        WorkerSession large = Session(new TenantAccount("large", _table, _time));
        WorkerSession small = Session(new TenantAccount("small", _table, _time));
        for (int i = 0; i < 30; i++)
        {
            _queue.Enqueue(small, Frame(1));
        }

        _queue.Enqueue(large, Frame(100));
        _queue.Enqueue(large, Frame(1));
        Assert.Equal(131, _queue.QueuedRows);

        // What does not fit the rest of a pass waits for the next, and comes first there; its own session's later frames wait with it.
        Assert.True(_queue.TryDequeue(50, out WorkerSession? first, out _));
        Assert.Same(small, first);
        Assert.True(_queue.TryDequeue(512, out WorkerSession? second, out PendingFrame? frame));
        Assert.Same(large, second);
        Assert.Equal(100, frame!.RowCount);
    }

    [Fact]
    public void Idling_saves_nothing_up()
    {
        WorkerSession steady = Session(new TenantAccount("steady", _table, _time));
        WorkerSession back = Session(new TenantAccount("back", _table, _time));
        for (int i = 0; i < 100; i++)
        {
            _queue.Enqueue(steady, Frame(10));
            Assert.True(_queue.TryDequeue(512, out _, out _));
        }

        for (int i = 0; i < 20; i++)
        {
            _queue.Enqueue(steady, Frame(10));
            _queue.Enqueue(back, Frame(10));
        }

        int steadys = 0;
        for (int i = 0; i < 10; i++)
        {
            Assert.True(_queue.TryDequeue(512, out WorkerSession? session, out _));
            steadys += session == steady ? 1 : 0;
        }

        Assert.InRange(steadys, 4, 6);
    }

    [Fact]
    public void Clearing_a_session_leaves_the_others()
    {
        WorkerSession gone = Session(new TenantAccount("a", _table, _time));
        WorkerSession stays = Session(gone.Account);
        _queue.Enqueue(gone, Frame(3));
        _queue.Enqueue(stays, Frame(4));
        Assert.Single(_queue.Clear(gone));
        Assert.Empty(_queue.Clear(gone));
        Assert.Equal(4, _queue.QueuedRows);
        Assert.True(_queue.TryDequeue(512, out WorkerSession? session, out _));
        Assert.Same(stays, session);
        Assert.False(_queue.TryDequeue(512, out _, out _));
        Assert.Null(_queue.UntilOpen());
    }

    private WorkerSession Session(TenantAccount account) => new(_context, account, 1, 1, WireType.F32, new KvCache(_pool, 1, 1));

    private PendingStep Frame(int rows) => new(++_seq, 0, 0, [], new TreeRow[rows], [], 0, []);
}
