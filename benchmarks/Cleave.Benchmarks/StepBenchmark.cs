using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>Whole steps of the bundled model's shape: decoding one row, verifying several, prefilling many.</summary>
internal static class StepBenchmark
{
    private const double LayerWeights = 12 * ((384.0 * 640) + (384 * 384) + (2 * 384 * 1024) + (1024 * 384));
    private const double HeadWeights = 384.0 * 12288;

    public static void Run(CpuDevice device, MachinePeaks peaks)
    {
        Console.WriteLine();
        Console.WriteLine("step of 12 layers, d 384, feed-forward 1024, 6/2 heads of 64, Q8_0, F32 cache (ms; ms per row; share of multiply-add peak)");
        using var model = new DemoModel(device);
        foreach ((int rows, int history, int headRows) in new[]
        {
            (1, 32, 1), (1, 256, 1), (1, 1024, 1), (2, 256, 2), (4, 256, 4), (8, 256, 0), (8, 256, 8), (16, 256, 0), (32, 32, 0), (32, 256, 0), (32, 256, 32), (64, 256, 0), (512, 0, 1),
        })
        {
            DemoModel.Buffers buffers = model.Allocate(rows);
            double seconds = Timing.Median(() => model.Step(buffers, history, headRows), 0.5);
            double work = ((rows * LayerWeights) + (headRows * HeadWeights)) / seconds / 1e9;
            string rate = rows == 1 ? $"{1 / seconds,6:f0} tok/s" : $"{rows / seconds,6:f0} rows/s";
            Console.WriteLine(
                $"{rows,4} rows after {history,4}, head for {headRows,2}: {seconds * 1e3,7:f3} ms  {seconds * 1e3 / rows,6:f4} ms/row  {rate}  {work / peaks.GigaMultiplyAddsPerSecond,4:p0}");
        }
    }
}
