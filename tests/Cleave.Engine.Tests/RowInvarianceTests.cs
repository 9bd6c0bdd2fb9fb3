using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine.Tests;

/// <summary>
/// A row's output depends on its own path alone: random operation logs (chunked prompts, trees, commits, rollbacks, two
/// sessions in one pass) against one row at a time, bit for bit, past four attention blocks of 64 positions.
/// </summary>
public sealed class RowInvarianceTests
{
    private const int Alphabet = 24;
    private const int PrefixLength = 270;

    [Theory]
    [InlineData(ElementType.F32, 4)]
    [InlineData(ElementType.F16, 1)]
    [InlineData(ElementType.Q8_0, 1)]
    public void Random_logs_give_the_bits_of_one_row_at_a_time(ElementType kvType, int logs)
    {
        using IModelSource source = ModelSource.Open(ModelPath());
        using CpuDevice device = new();
        using LayerStack stack = LayerStack.Load(device, source, new LayerRange(0, source.Config.Layers));
        using KvPool pool = stack.CreatePool(4096, kvType);
        var runner = new Runner(stack, pool);
        var reference = new PathReference(runner);
        Gen.Int[0, 1 << 30].Sample(seed => RunLog(new Random(seed), runner, reference), iter: logs, threads: 1);
    }

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.Q8_0)]
    public void A_step_allocates_nothing(ElementType kvType)
    {
        using IModelSource source = ModelSource.Open(ModelPath());
        using CpuDevice device = new();
        using LayerStack stack = LayerStack.Load(device, source, new LayerRange(0, source.Config.Layers));
        using KvPool pool = stack.CreatePool(1024, kvType);
        using var cache = new KvCache(pool, 1024, 1024);
        using DeviceTensor hidden = device.Allocate(8, stack.Config.HiddenSize);
        var plan = new AttentionPlan();
        var rows = new TreeRow[8];
        var dropped = new bool[8];
        ulong last = 0;
        ulong parent = 0;

        // Scratch, tables and lists have grown to their sizes, and the code is compiled, after as many steps again.
        for (int i = 0; i < 60; i++)
        {
            Step(1 + (i % 8));
        }

        cache.Truncate(0);
        parent = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 50; i++)
        {
            Step(1 + (i % 8));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step(int count)
        {
            for (int i = 0; i < count; i++)
            {
                rows[i] = new TreeRow(++last, parent);
                parent = last;
            }

            pool.Reclaim();
            cache.Append(rows.AsSpan(0, count), dropped.AsSpan(0, count));
            plan.Clear();
            cache.AddToPlan(plan, count);
            stack.Forward(hidden, plan, pool.Arena);
            Span<ulong> ids = stackalloc ulong[count];
            for (int i = 0; i < count; i++)
            {
                ids[i] = rows[i].Id;
            }

            Assert.True(cache.Keep(ids).Succeeded);
        }
    }

    private static void RunLog(Random random, Runner runner, PathReference reference)
    {
        Tenant[] tenants = [new(runner, random.Next()), new(runner, random.Next())];
        try
        {
            foreach (Tenant tenant in tenants)
            {
                tenant.PrefillInChunks(random, PrefixLength);
            }

            for (int round = 0; round < 8; round++)
            {
                foreach (Tenant tenant in tenants)
                {
                    tenant.Grow(random);
                }

                runner.Run(tenants);
                foreach (Tenant tenant in tenants)
                {
                    tenant.CheckAgainst(reference);
                    tenant.CommitOrRollBack(random);
                }
            }
        }
        finally
        {
            foreach (Tenant tenant in tenants)
            {
                tenant.Dispose();
            }
        }
    }

    private static string ModelPath()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return Path.Combine(at.FullName, "models", "cleave-demo-draft-4m.q8_0.gguf");
            }
        }

        throw new DirectoryNotFoundException("Cleave.slnx not found above the test assembly");
    }

    /// <summary>Runs pending rows of several sessions in one pass over random inputs, one vector per letter.</summary>
    private sealed class Runner(LayerStack stack, KvPool pool)
    {
        private readonly float[][] _letters = [.. Enumerable.Range(0, Alphabet).Select(letter => Letter(letter, stack.Config.HiddenSize))];

        public KvCache CreateCache() => new(pool, 2048, 2048);

        public void Run(params Tenant[] tenants)
        {
            pool.Reclaim();
            var plan = new AttentionPlan();
            var letters = new List<int>();
            foreach (Tenant tenant in tenants)
            {
                Assert.True(tenant.Cache.Append(tenant.PendingRows, new bool[tenant.PendingRows.Length]).Succeeded);
                tenant.Cache.AddToPlan(plan, tenant.PendingRows.Length);
                letters.AddRange(tenant.PendingRows.Select(row => tenant.PathOf(row.Id)[^1]));
            }

            float[] output = RunPlan(plan, letters);
            int at = 0;
            foreach (Tenant tenant in tenants)
            {
                tenant.TakeOutputs(output, ref at, stack.Config.HiddenSize);
            }
        }

        public float[] RunOne(KvCache cache, TreeRow row, int letter)
        {
            pool.Reclaim();
            Assert.True(cache.Append([row], new bool[1]).Succeeded);
            var plan = new AttentionPlan();
            cache.AddToPlan(plan, 1);
            return RunPlan(plan, [letter]);
        }

        private float[] RunPlan(AttentionPlan plan, List<int> letters)
        {
            int width = stack.Config.HiddenSize;
            float[] input = [.. letters.SelectMany(letter => _letters[letter])];
            using DeviceTensor hidden = stack.Device.Allocate(letters.Count, width);
            stack.Device.Upload(input, hidden, letters.Count);
            stack.Forward(hidden, plan, pool.Arena);
            var output = new float[input.Length];
            stack.Device.Download(hidden, letters.Count, output);
            return output;
        }

        private static float[] Letter(int letter, int width)
        {
            var random = new Random(letter);
            return [.. Enumerable.Range(0, width).Select(_ => (float)(random.NextDouble() - 0.5))];
        }
    }

    /// <summary>One session: letters by row id, rows not yet run, their outputs.</summary>
    private sealed class Tenant(Runner runner, int seed) : IDisposable
    {
        private readonly Dictionary<ulong, int[]> _paths = new() { [0] = [] };
        private readonly List<(ulong Id, float[] Output)> _outputs = [];
        private readonly List<TreeRow> _pending = [];
        private readonly List<ulong> _live = [];
        private readonly Random _letters = new(seed);
        private ulong _next = 1;

        public KvCache Cache { get; } = runner.CreateCache();

        public TreeRow[] PendingRows => [.. _pending];

        public int[] PathOf(ulong id) => _paths[id];

        public void PrefillInChunks(Random random, int length)
        {
            while (Cache.CommittedLength < length)
            {
                int count = Math.Min(random.Next(1, 70), length - Cache.CommittedLength);
                ulong parent = Cache.LastCommittedId;
                for (int i = 0; i < count; i++)
                {
                    parent = AddRow(parent);
                }

                runner.Run(this);
                _outputs.Clear();
                Assert.True(Cache.Keep([.. _live]).Succeeded);
                _live.Clear();
            }
        }

        public void Grow(Random random)
        {
            List<ulong> parents = [Cache.LastCommittedId, .. _live];
            for (int i = random.Next(1, 12); i > 0; i--)
            {
                parents.Add(AddRow(parents[random.Next(parents.Count)]));
            }
        }

        public void TakeOutputs(float[] output, ref int at, int width)
        {
            foreach (TreeRow row in _pending)
            {
                _outputs.Add((row.Id, output[at..(at + width)]));
                at += width;
            }

            _pending.Clear();
        }

        public void CheckAgainst(PathReference reference)
        {
            foreach ((ulong id, float[] output) in _outputs)
            {
                Assert.True(reference.Output(_paths[id]).AsSpan().SequenceEqual(output), $"row at position {_paths[id].Length - 1} differs");
            }

            _outputs.Clear();
        }

        public void CommitOrRollBack(Random random)
        {
            if (random.Next(4) == 0)
            {
                int length = random.Next(Cache.CommittedLength / 2, Cache.CommittedLength + 1);
                Assert.True(Cache.Truncate(length).Succeeded);
                _live.Clear();
                return;
            }

            ulong leaf = _live[random.Next(_live.Count)];
            var chain = new List<ulong>();
            for (int length = _paths[leaf].Length; length > Cache.CommittedLength; length--)
            {
                chain.Insert(0, _live.Single(id => _paths[id].Length == length && IsAncestor(id, leaf)));
            }

            Assert.True(Cache.Keep([.. chain]).Succeeded);
            _live.RemoveAll(id => !Cache.IsLive(id));
        }

        public void Dispose() => Cache.Dispose();

        private readonly Dictionary<ulong, ulong> _parents = [];

        private bool IsAncestor(ulong id, ulong leaf)
        {
            for (ulong at = leaf; at != 0; at = _parents.GetValueOrDefault(at))
            {
                if (at == id)
                {
                    return true;
                }
            }

            return false;
        }

        private ulong AddRow(ulong parent)
        {
            ulong id = _next++;
            _paths[id] = [.. _paths[parent], _letters.Next(Alphabet)];
            _parents[id] = parent;
            _pending.Add(new TreeRow(id, parent));
            _live.Add(id);
            return id;
        }
    }

    /// <summary>One row at a time: a path is followed from the longest prefix it shares with the path before.</summary>
    private sealed class PathReference(Runner runner)
    {
        private readonly KvCache _cache = runner.CreateCache();
        private readonly List<int> _letters = [];
        private ulong _next = 1;

        public float[] Output(int[] path)
        {
            int shared = 0;
            while (shared < path.Length - 1 && shared < _letters.Count && path[shared] == _letters[shared])
            {
                shared++;
            }

            Assert.True(_cache.Truncate(shared).Succeeded);
            _letters.RemoveRange(shared, _letters.Count - shared);
            float[] output = [];
            foreach (int letter in path.AsSpan(shared))
            {
                output = runner.RunOne(_cache, new TreeRow(_next, _cache.LastCommittedId), letter);
                Assert.True(_cache.Keep([_next++]).Succeeded);
                _letters.Add(letter);
            }

            return output;
        }
    }
}
