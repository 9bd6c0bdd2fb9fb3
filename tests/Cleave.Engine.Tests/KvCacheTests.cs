using Cleave.Compute;

namespace Cleave.Engine.Tests;

/// <summary>The slot table against a model that keeps every row's whole path in a dictionary.</summary>
public sealed class KvCacheTests
{
    [Fact]
    public void A_chain_is_read_in_order_through_table_and_tail()
    {
        using KvPool pool = new(new FakeArena(16));
        using KvCache cache = new(pool, 16, 100);
        Append(cache, (1, 0), (2, 1), (3, 2));
        Assert.True(cache.Keep([1, 2]).Succeeded);
        Append(cache, (4, 3));
        var plan = new AttentionPlan();
        cache.AddToPlan(plan, 1);
        AttentionRow row = plan.Rows[0];
        Assert.Equal((3, 2), (row.Position, row.PrefixLength));
        Assert.Equal(2, plan.Tails.Length);
        Assert.Equal(4, new HashSet<int>([.. plan.Tables, .. plan.Tails]).Count);
    }

    [Fact]
    public void Faults_are_values_and_change_nothing()
    {
        using KvPool pool = new(new FakeArena(4));
        using KvCache cache = new(pool, 4, 3);
        Append(cache, (5, 0), (6, 5));
        bool[] dropped = new bool[8];
        Assert.Equal(CacheFault.IdOutOfOrder, cache.Append([new TreeRow(6, 5)], dropped).Fault);
        Assert.Equal(CacheFault.UnknownParent, cache.Append([new TreeRow(9, 8)], dropped).Fault);
        Assert.Equal(CacheFault.UnknownParent, cache.Append([new TreeRow(9, 9)], dropped).Fault);
        Assert.Equal(CacheFault.PastContext, cache.Append([new TreeRow(9, 6), new TreeRow(10, 9)], dropped).Fault);
        Assert.Equal(CacheFault.OverSessionLimit, cache.Append([new(9, 5), new(10, 5), new(11, 5)], dropped).Fault);
        Assert.Equal(CacheFault.UnknownRow, cache.Keep([5, 7]).Fault);
        Assert.Equal(CacheFault.NotAChain, cache.Keep([6]).Fault);
        Assert.Equal(CacheFault.BadLength, cache.Truncate(1).Fault);
        Assert.Equal((2, 0, 6UL, 2), (cache.LiveCount, cache.CommittedLength, cache.LastId, pool.Used));
    }

    [Fact]
    public void Rows_under_a_dead_parent_are_dropped_with_their_descendants()
    {
        using KvPool pool = new(new FakeArena(16));
        using KvCache cache = new(pool, 16, 100);
        Append(cache, (1, 0), (2, 1), (3, 1));
        Assert.True(cache.Keep([1, 2]).Succeeded);
        bool[] dropped = new bool[3];
        CacheOutcome outcome = cache.Append([new(4, 3), new(5, 4), new(6, 2)], dropped);
        Assert.Equal((CacheFault.None, 2), (outcome.Fault, outcome.Dropped));
        Assert.Equal([true, true, false], dropped);
        Assert.Equal(1, cache.LiveCount);
    }

    [Fact]
    public void Released_slots_wait_for_the_end_of_the_pass()
    {
        using KvPool pool = new(new FakeArena(2));
        using KvCache cache = new(pool, 8, 100);
        Append(cache, (1, 0), (2, 0));
        Assert.True(cache.Keep([1]).Succeeded);
        Assert.Equal(CacheFault.PoolExhausted, cache.Append([new TreeRow(3, 1)], new bool[1]).Fault);
        pool.Reclaim();
        Assert.True(cache.Append([new TreeRow(3, 1)], new bool[1]).Succeeded);
    }

    [Fact]
    public void A_fork_shares_the_prefix_and_outlives_its_parent()
    {
        using KvPool pool = new(new FakeArena(16));
        KvCache cache = new(pool, 16, 100);
        Append(cache, (1, 0), (2, 1), (3, 2));
        Assert.True(cache.Keep([1, 2]).Succeeded);
        KvCache copy = cache.Fork()!;
        Assert.Equal((2, 0, 3), (copy.CommittedLength, copy.LiveCount, pool.Used));
        cache.Dispose();
        Assert.Equal(2, pool.Used);
        Append(copy, (4, 2));
        copy.Dispose();
        Assert.Equal(0, pool.Used);
    }

    [Fact]
    public void Random_operation_logs_agree_with_the_model_and_leak_no_slot()
    {
        Gen.Int[0, 1 << 30].Sample(
            seed =>
            {
                var random = new Random(seed);
                using KvPool pool = new(new FakeArena(400));
                var cache = new KvCache(pool, 400, 300);
                var model = new PathModel();
                ulong next = 1;
                for (int operation = 0; operation < 60; operation++)
                {
                    pool.Reclaim();
                    switch (random.Next(8))
                    {
                        case < 5:
                            next = AppendRandom(random, cache, model, next);
                            break;
                        case < 7:
                            KeepRandom(random, cache, model);
                            break;
                        default:
                            int length = random.Next(cache.CommittedLength + 1);
                            Assert.True(cache.Truncate(length).Succeeded);
                            model.Truncate(length);
                            break;
                    }

                    Assert.Equal(model.Committed.Count, cache.CommittedLength);
                    Assert.Equal(model.Live.Count, cache.LiveCount);
                    Assert.Equal(model.Committed.Count + model.Live.Count, pool.Used);
                }

                cache.Dispose();
                Assert.Equal(0, pool.Used);
            },
            iter: 200);
    }

    private static ulong AppendRandom(Random random, KvCache cache, PathModel model, ulong next)
    {
        int count = random.Next(1, 6);
        var rows = new TreeRow[count];
        List<ulong> parents = [.. model.Live.Keys, model.Committed.Count == 0 ? 0 : model.Committed[^1]];
        for (int i = 0; i < count; i++)
        {
            rows[i] = new TreeRow(next, parents[random.Next(parents.Count)]);
            parents.Add(next);
            next += (ulong)random.Next(1, 3);
        }

        bool[] dropped = new bool[count];
        if (cache.Append(rows, dropped) is { Succeeded: true })
        {
            var plan = new AttentionPlan();
            cache.AddToPlan(plan, count);
            for (int i = 0; i < count; i++)
            {
                AttentionRow row = plan.Rows[i];
                int[] slots =
                [
                    .. plan.Tables.Slice(row.TableOffset, row.PrefixLength),
                    .. plan.Tails.Slice(row.TailOffset, row.Position + 1 - row.PrefixLength),
                ];
                model.Append(rows[i], row.Slot);
                Assert.Equal(model.PathSlots(rows[i].Id), slots);
            }
        }

        return next;
    }

    private static void KeepRandom(Random random, KvCache cache, PathModel model)
    {
        var chain = new List<ulong>();
        ulong last = model.Committed.Count == 0 ? 0 : model.Committed[^1];
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            ulong[] children = [.. model.Live.Where(l => l.Value.ParentId == last).Select(l => l.Key)];
            if (children.Length == 0)
            {
                break;
            }

            last = children[random.Next(children.Length)];
            chain.Add(last);
        }

        Assert.True(cache.Keep([.. chain]).Succeeded);
        model.Keep(chain);
    }

    private static void Append(KvCache cache, params (ulong Id, ulong Parent)[] rows) =>
        Assert.True(cache.Append([.. rows.Select(r => new TreeRow(r.Id, r.Parent))], new bool[rows.Length]).Succeeded);

    private sealed class PathModel
    {
        private readonly Dictionary<ulong, int> _slots = [];
        private readonly Dictionary<ulong, ulong> _parents = [];

        public List<ulong> Committed { get; } = [];

        public Dictionary<ulong, TreeRow> Live { get; } = [];

        public void Append(TreeRow row, int slot)
        {
            Live[row.Id] = row;
            _slots[row.Id] = slot;
            _parents[row.Id] = row.ParentId;
        }

        public int[] PathSlots(ulong id)
        {
            var path = new List<int>();
            for (; id != 0; id = _parents[id])
            {
                path.Insert(0, _slots[id]);
            }

            return [.. path];
        }

        public void Keep(List<ulong> chain)
        {
            if (chain.Count == 0)
            {
                return;
            }

            Committed.AddRange(chain);
            foreach (ulong id in Live.Keys.Where(id => !DescendsFrom(id, chain[^1])).ToArray())
            {
                Live.Remove(id);
            }
        }

        public void Truncate(int length)
        {
            Committed.RemoveRange(length, Committed.Count - length);
            Live.Clear();
        }

        private bool DescendsFrom(ulong id, ulong ancestor)
        {
            for (id = _parents[id]; id != 0; id = _parents[id])
            {
                if (id == ancestor)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Slots without storage: the table is what is tested.</summary>
    private sealed class FakeArena(int slots) : KvArena
    {
        public override int Layers => 1;

        public override int Slots => slots;

        public override int Columns => 1;

        public override ElementType Type => ElementType.F32;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
