using Cleave.Compute;
using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Scheduling;

namespace Cleave.Worker.Tests.Support;

/// <summary>Steps with made-up activations, and what they must come to, computed alone.</summary>
internal static class Steps
{
    /// <summary>The activations a row of this id is given in these tests: a function of the id and a stream's seed.</summary>
    public static float[] Hidden(ulong id, int seed, int width)
    {
        var random = new Random(HashCode.Combine(seed, id.GetHashCode()));
        var hidden = new float[width];
        for (int i = 0; i < width; i++)
        {
            hidden[i] = (float)((random.NextDouble() - 0.5) * 4);
        }

        return hidden;
    }

    public static StepFrame Make(int width, ulong seq, (ulong Id, ulong Parent)[] rows, ulong[]? keep = null, ulong ack = 0, int seed = 1, uint epoch = 0, WireType type = WireType.F32)
    {
        int rowBytes = ActivationCodec.RowBytes(type, width);
        var payload = new byte[rows.Length * rowBytes];
        for (int i = 0; i < rows.Length; i++)
        {
            Assert.True(ActivationCodec.TryEncode(type, Hidden(rows[i].Id, seed, width), width, payload.AsSpan(i * rowBytes, rowBytes), out _));
        }

        return new StepFrame(seq, epoch, ack, keep ?? [], rows.Select(r => new StepRow(r.Id, r.Parent, RowFlags.Return)).ToArray(), payload);
    }

    /// <summary>A chain of rows first..last on top of <paramref name="parent"/>.</summary>
    public static (ulong Id, ulong Parent)[] Chain(ulong first, ulong last, ulong parent)
    {
        var rows = new List<(ulong, ulong)>();
        for (ulong id = first; id <= last; id++)
        {
            rows.Add((id, id == first ? parent : id - 1));
        }

        return [.. rows];
    }

    /// <summary>The output of the last row of a path, computed alone, row by row, on its own cache.</summary>
    public static float[] Alone(WorkerModel model, IReadOnlyList<ulong> path, int seed = 1)
    {
        int width = model.Config.HiddenSize;
        using KvPool pool = model.Stack.CreatePool(path.Count);
        using var cache = new KvCache(pool, path.Count, model.Config.ContextLength);
        using var device = new CpuDevice(threads: 1);
        using DeviceTensor hidden = device.Allocate(1, width);
        var plan = new AttentionPlan();
        var output = new float[width];
        ulong parent = 0;
        using LayerStack stack = LayerStack.Load(device, Models.ModelSource.Open(Repository.Demo), model.Stack.Range);
        foreach (ulong id in path)
        {
            Assert.True(cache.Append([new TreeRow(id, parent)], new bool[1]).Succeeded);
            plan.Clear();
            cache.AddToPlan(plan, 1);
            device.Upload(Hidden(id, seed, width), hidden, 1);
            stack.Forward(hidden, plan, pool.Arena);
            device.Download(hidden, 1, output);
            Assert.True(cache.Keep([id]).Succeeded);
            parent = id;
        }

        return output;
    }
}
