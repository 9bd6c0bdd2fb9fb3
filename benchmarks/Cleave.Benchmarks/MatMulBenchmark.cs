using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>Matrices beyond the caches: one row as a share of read bandwidth, several rows as a share of the multiply-add peak.</summary>
internal static class MatMulBenchmark
{
    private const int Inputs = 4096;
    private const int Outputs = 32768;

    public static void Run(CpuDevice device, MachinePeaks peaks)
    {
        Console.WriteLine();
        Console.WriteLine($"matmul {Outputs} x {Inputs}: GB/s and share of bandwidth at 1 row; G multiply-adds/s and share of peak at more");
        foreach (ElementType type in Enum.GetValues<ElementType>())
        {
            TensorData data = RandomWeights.Create(type, Outputs, Inputs);
            using DeviceWeight weight = device.LoadWeight([data]);
            string line = $"{type,-5}";
            foreach (int rows in new[] { 1, 2, 4, 8, 32, 128 })
            {
                using DeviceTensor x = device.Allocate(rows, Inputs);
                using DeviceTensor y = device.Allocate(rows, Outputs);
                double seconds = Timing.Median(() => device.MatMul(x, weight, null, y, rows), 0.5, 3);
                double bandwidth = data.ByteLength / seconds / 1e9;
                double work = (double)rows * Inputs * Outputs / seconds / 1e9;
                line += rows == 1
                    ? $"  1: {bandwidth,5:f1} GB/s {bandwidth / peaks.ReadGBPerSecond,4:p0}"
                    : $"  {rows}: {work,4:f0} {work / peaks.GigaMultiplyAddsPerSecond,4:p0}";
            }

            Console.WriteLine(line);
        }
    }
}
