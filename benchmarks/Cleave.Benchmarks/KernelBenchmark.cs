using Cleave.Compute;
using Cleave.Compute.Cpu;

namespace Cleave.Benchmarks;

/// <summary>Inner kernels on data in the first-level cache, in cycles of multiply-add work at the measured peak.</summary>
internal static unsafe class KernelBenchmark
{
    private const int Repeats = 2000;

    public static void Run(CpuDevice device, MachinePeaks peaks)
    {
        KernelSet kernels = KernelTable.Select(device.Path);
        double peak = peaks.GigaMultiplyAddsPerSecond / device.Threads;
        Console.WriteLine();
        Console.WriteLine($"kernels on cached data, one thread: share of {peak:f0} G multiply-adds/s");
        Attention(kernels, peak);
        foreach (int k in new[] { 384, 512, 1024 })
        {
            using var x = new NativeBuffer(64L * (k + 16) * sizeof(float));
            using var panel = new NativeBuffer(64L * (k + 16) * sizeof(float));
            using var y = new NativeBuffer(64L * 64 * sizeof(float));
            Fill(x);
            Fill(panel);
            foreach (int rows in new[] { 1, 2, 3, 4, 8, 32 })
            {
                double seconds = Timing.Median(
                    () =>
                    {
                        for (int i = 0; i < Repeats; i++)
                        {
                            kernels.Tile((float*)x.Pointer, k + 16, rows, (float*)panel.Pointer, KernelSet.PanelOutputs, k, (float*)y.Pointer, 64, null, TilePart.Whole);
                        }
                    },
                    0.1) / Repeats;
                double rate = (double)rows * KernelSet.PanelOutputs * k / seconds / 1e9;
                Console.WriteLine($"tile {rows,2} x {KernelSet.PanelOutputs}, k {k,4}: {seconds * 1e9,7:f0} ns {rate,5:f1} G/s {rate / peak,4:p0}");
            }

            foreach (ElementType type in Enum.GetValues<ElementType>())
            {
                if (k % type.BlockLength() != 0)
                {
                    continue;
                }

                TensorData data = RandomWeights.Create(type, 24, k);
                double unpack = Timing.Median(
                    () =>
                    {
                        for (int i = 0; i < Repeats; i++)
                        {
                            kernels.Unpack(type, data.Pointer, (float*)panel.Pointer, k);
                        }
                    },
                    0.1) / Repeats;
                string line = $"{type,-5} k {k,4}: unpack {unpack / k * 1e9,6:f3} ns/weight";
                for (int rows = 1; rows <= Math.Min(8, kernels.MostDotRows(type, k)); rows = rows < 4 ? rows + 1 : 2 * rows)
                {
                    double dot = Timing.Median(
                        () =>
                        {
                            for (int i = 0; i < Repeats; i++)
                            {
                                kernels.Dot(type, (float*)x.Pointer, rows, data.Pointer, data.RowBytes, 8, k, (float*)y.Pointer, 64, null, TilePart.Whole);
                            }
                        },
                        0.1) / Repeats;
                    line += $", {rows} in place {dot / (8 * k) * 1e9,6:f3}";
                }

                Console.WriteLine(line);
            }
        }
    }

    /// <summary>Untouched pages all share one page of zeros: cached as no real data is.</summary>
    private static void Fill(NativeBuffer buffer)
    {
        for (long i = 0; i < buffer.ByteLength / sizeof(float); i++)
        {
            ((float*)buffer.Pointer)[i] = (i % 31) / 31f;
        }
    }

    private static void Attention(KernelSet kernels, double peak)
    {
        const int Dim = 64;
        const int Block = KernelSet.BlockPositions;
        foreach (int heads in new[] { 1, 3, 24 })
        {
            using var memory = new NativeBuffer(1 << 20);
            Fill(memory);
            float* keys = (float*)memory.Pointer;
            float* q = keys + (Block * Dim);
            float* scores = q + (heads * Dim);
            float* mix = scores + (heads * Block);
            float* state = mix + (heads * Dim);
            int* slots = (int*)(state + (3 * heads));
            for (int i = 0; i < Block; i++)
            {
                slots[i] = i;
            }

            var block = new PositionBlock(keys, slots, Dim);
            Report("score", () => kernels.Score(q, heads, Dim, block, 0, Block, 0.125f, 0, scores));
            Report("softmax", () => kernels.Softmax(scores, heads, state, state + heads, state + (2 * heads)));
            Report("mix", () => kernels.Mix(mix, heads, Dim, state, block, 0, Block, scores));

            void Report(string name, Action action)
            {
                double seconds = Timing.Median(
                    () =>
                    {
                        for (int i = 0; i < Repeats; i++)
                        {
                            action();
                        }
                    },
                    0.1) / Repeats / heads;
                Console.WriteLine($"{name,-8} {heads,2} heads of {Dim}, {Block} positions: {seconds * 1e9,6:f0} ns/head, {Dim * Block / seconds / 1e9 / peak,5:p0}");
            }
        }
    }
}
