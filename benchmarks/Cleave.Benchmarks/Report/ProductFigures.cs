using Cleave.Compute;

namespace Cleave.Benchmarks.Report;

/// <summary>Products with matrices beyond the caches: one row against what memory gives, eight against what the multipliers give.</summary>
internal static class ProductFigures
{
    private const int Inputs = 4096;
    private const int Outputs = 32768;

    /// <summary>Products timed together, one behind the other as in a model's step, so that waking the threads weighs as little as it does there.</summary>
    private const int Products = 5;

    public static IEnumerable<Figure> Measure(CpuDevice device)
    {
        foreach (ElementType type in new[] { ElementType.BF16, ElementType.Q8_0, ElementType.Q4_K, ElementType.Q6_K })
        {
            TensorData data = RandomWeights.Create(type, Outputs, Inputs);
            using DeviceWeight weight = device.LoadWeight([data]);
            bool asked = type is ElementType.BF16 or ElementType.Q8_0;
            foreach (int rows in new[] { 1, 8 })
            {
                using DeviceTensor x = device.Allocate(rows, Inputs);
                using DeviceTensor y = device.Allocate(rows, Outputs);
                var passes = new MachinePeaks.Passes(device.Threads);
                using (passes)
                {
                    // The ceiling is measured between the products, pass by pass: other machines share its memory and its clock.
                    Pairs pairs = Pairs.Run(
                        15, () => Pairs.Time(() => Multiply(device, x, weight, y, rows)), () => rows == 1 ? passes.Read() : passes.Multiply());
                    double amount = Products * (rows == 1 ? data.ByteLength / 1e9 : (double)rows * Inputs * Outputs / 1e9);
                    double ceiling = rows == 1 ? passes.ReadBytes / 1e9 : passes.MultiplyAdds / 1e9;
                    yield return new Figure(
                        $"{(rows == 1 ? "one row" : "8 rows")}, {type}, {Outputs} x {Inputs}",
                        amount / pairs.First,
                        rows == 1 ? "GB/s" : "G/s",
                        ceiling / pairs.Second,
                        rows == 1 ? "reading memory" : "multiply-add peak",
                        pairs.SecondOverFirst * amount / ceiling,
                        asked ? rows == 1 ? 0.7 : 0.6 : null);
                }
            }
        }
    }

    private static void Multiply(CpuDevice device, DeviceTensor x, DeviceWeight weight, DeviceTensor y, int rows)
    {
        for (int i = 0; i < Products; i++)
        {
            device.MatMul(x, weight, null, y, rows);
        }
    }
}
