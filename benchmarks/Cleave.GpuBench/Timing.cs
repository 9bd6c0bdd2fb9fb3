using System.Diagnostics;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Models;

namespace Cleave.GpuBench;

/// <summary>Times of products, whole steps and prefill against what the memory could do at best.</summary>
internal sealed class Timing(GpuDevice device, TextWriter log)
{
    private const int RestMs = 80;

    private double _copyGBs = 4270;

    /// <summary>Device-to-device copy of 2 GB, bytes read plus written.</summary>
    public void Copy()
    {
        using DeviceTensor a = device.Allocate(4096, 65536);
        using DeviceTensor b = device.Allocate(4096, 65536);
        device.Clear(a, 4096);
        device.Clear(b, 4096);
        double seconds = Median(9, () => device.CopyMemory(a, b));
        _copyGBs = 2.0 * 4096 * 65536 * 4 / seconds / 1e9;
        log.WriteLine($"copy {_copyGBs:F0} GB/s");
    }

    /// <summary>Products of the 7B's and 12B's shapes; several weights in turn, so that no cache holds them.</summary>
    public void Products(ElementType type, RandomBlock block, params int[] rowCounts)
    {
        foreach ((int outputs, int inputs) in new[] { (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (32768, 4096), (5120, 4096), (6144, 5120) })
        {
            double bytes = (double)type.RowBytes(inputs) * outputs;
            int copies = (int)Math.Clamp(600e6 / bytes, 2, 24);
            DeviceWeight[] weights = [.. Enumerable.Range(0, copies).Select(_ => device.LoadWeight([block.Matrix("w", outputs, inputs)]))];
            foreach (int rows in rowCounts)
            {
                using DeviceTensor x = Input(rows, inputs);
                using DeviceTensor y = device.Allocate(rows, outputs);
                double seconds = Median(7, () =>
                {
                    foreach (DeviceWeight weight in weights)
                    {
                        device.MatMul(x, weight, null, y, rows);
                    }
                }) / copies;
                string rate = rows > 64 ? $"{2.0 * rows * outputs * inputs / seconds / 1e12:F0} TFLOP/s" : $"{bytes / seconds / 1e9:F0} GB/s {bytes / seconds / 1e7 / _copyGBs:F0}%";
                log.WriteLine($"{type} {outputs}x{inputs} rows {rows}: {seconds * 1e6:F1} us  {rate}");
            }

            foreach (DeviceWeight weight in weights)
            {
                weight.Dispose();
            }
        }
    }

    /// <summary>Whole decode steps (layers, final norm, LM head) and prefill.</summary>
    public void Model(ModelConfig config, ElementType type, RandomBlock block, int[] contexts, int[] rowCounts, int prefill)
    {
        using var model = new RandomModel(config, block);
        var clock = Stopwatch.StartNew();
        long before = device.AllocatedBytes;
        using LayerStack stack = LayerStack.Load(device, model, new LayerRange(0, config.Layers));
        using DeviceWeight head = device.LoadWeight([model.End(EndTensor.LmHead)]);
        using DeviceTensor norm = device.LoadVector(model.End(EndTensor.FinalNorm));
        device.Synchronize();
        long weights = device.AllocatedBytes - before;
        log.WriteLine($"{config.Name} {type}: {weights / 1e9:F2} GB of weights loaded in {clock.Elapsed.TotalSeconds:F1} s");
        using KvPool pool = stack.CreatePool(8192, ElementType.BF16);
        foreach (int context in contexts)
        {
            foreach (int rows in rowCounts)
            {
                (double seconds, double submit) = Step(stack, head, norm, pool, context, rows, logits: true, 15);
                double floor = weights / _copyGBs / 1e9;
                log.WriteLine($"{config.Name} {type} step rows {rows} context {context}: {seconds * 1e3:F3} ms  {floor / seconds * 100:F1}% of copy  (floor {floor * 1e3:F3} ms, submitted in {submit * 1e3:F2} ms)");
            }
        }

        // A link's round trip passes between two steps of one session: what a step takes on a device and a core that were idle.
        (double rested, _) = Step(stack, head, norm, pool, contexts[0], 1, logits: true, 15, restMs: RestMs);
        log.WriteLine($"{config.Name} {type} step rows 1 context {contexts[0]} after {RestMs} ms of silence: {rested * 1e3:F3} ms");
        if (prefill > 0)
        {
            (double seconds, _) = Step(stack, head, norm, pool, 0, prefill, logits: false, 5);
            double flops = 2.0 * prefill * Parameters(config) + (2.0 * config.Layers * config.Heads * config.HeadDim * prefill * prefill);
            log.WriteLine($"{config.Name} {type} prefill {prefill}: {seconds * 1e3:F1} ms  {flops / seconds / 1e12:F0} TFLOP/s");
        }
    }

    private static double Parameters(ModelConfig c) =>
        (double)c.Layers * c.HiddenSize * ((2 * c.QueryColumns) + (2 * c.KvColumns) + (3.0 * c.FeedForwardSize));

    private (double Seconds, double Submit) Step(LayerStack stack, DeviceWeight head, DeviceTensor norm, KvPool pool, int context, int rows, bool logits, int repeats, int restMs = 0)
    {
        ModelConfig config = stack.Config;
        using DeviceTensor hidden = Input(rows, config.HiddenSize);
        using DeviceTensor normed = device.Allocate(rows, config.HiddenSize);
        using DeviceTensor scores = device.Allocate(logits ? rows : 1, config.VocabularySize);
        var plan = new AttentionPlan();
        int[] slots = [.. Enumerable.Range(0, context + rows)];
        double submit = 0;
        void Run()
        {
            var clock = Stopwatch.StartNew();
            plan.Clear();
            int table = plan.AddTable(slots.AsSpan(0, context));
            for (int i = 0; i < rows; i++)
            {
                plan.AddRow(table, context, slots.AsSpan(context, i + 1));
            }

            stack.Forward(hidden, plan, pool.Arena);
            device.RmsNorm(hidden, norm, 1e-5f, normed, rows);
            device.MatMul(logits ? normed : normed.Rows(rows - 1, 1), head, null, scores, logits ? rows : 1);
            submit = clock.Elapsed.TotalSeconds;
            device.Synchronize();
        }

        return (Median(repeats, Run, restMs), submit);
    }

    private DeviceTensor Input(int rows, int columns)
    {
        var random = new Random(rows + columns);
        var values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)((random.NextDouble() * 2) - 1);
        }

        DeviceTensor tensor = device.Allocate(rows, columns);
        device.Upload(values, tensor, rows);
        return tensor;
    }

    private double Median(int repeats, Action action, int restMs = 0)
    {
        action();
        action();
        device.Synchronize();
        var times = new double[repeats];
        for (int i = 0; i < repeats; i++)
        {
            Thread.Sleep(restMs);
            long start = Stopwatch.GetTimestamp();
            action();
            device.Synchronize();
            times[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Array.Sort(times);
        return times[repeats / 2];
    }
}
