using Cleave.Compute;

namespace Cleave.Benchmarks.Report;

/// <summary>Products with matrices beyond the caches: one row against what memory gives, eight against what the multipliers give.</summary>
internal static class ProductFigures
{
    private const int Inputs = 4096;
    private const int Outputs = 32768;

    /// <summary>Products timed together, one behind the other as in a model's step, so that waking the threads weighs as little as it does there.</summary>
    public const int Products = 5;

    public static IEnumerable<Figure> Measure(CpuDevice device)
    {
        foreach (ElementType type in new[] { ElementType.BF16, ElementType.Q8_0, ElementType.Q4_K, ElementType.Q6_K })
        {
            TensorData data = RandomWeights.Create(type, Outputs, Inputs);
            using DeviceWeight weight = device.LoadWeight([data]);
            foreach (Figure figure in Of(device, weight, $"{type}", data.ByteLength, asked: type is ElementType.BF16 or ElementType.Q8_0))
            {
                yield return figure;
            }

            if (type == ElementType.BF16)
            {
                foreach (Figure figure in Packed(device))
                {
                    yield return figure;
                }
            }
        }
    }

    /// <summary>BF16 packed, on weights distributed like a trained matrix's; bandwidth counts the packed bytes. Then against the same matrix as stored.</summary>
    private static IEnumerable<Figure> Packed(CpuDevice device)
    {
        using var packing = new CpuDevice(threads: device.Threads, packBF16: true);
        if (!packing.PacksBF16)
        {
            yield break;
        }

        TensorData data = RandomWeights.CreateGaussian(Outputs, Inputs);
        using DeviceWeight stored = device.LoadWeight([data]);
        using DeviceWeight packed = packing.LoadWeight([data]);
        foreach (Figure figure in Of(packing, packed, "BF16 packed", packed.DeviceBytes, asked: true))
        {
            yield return figure;
        }

        foreach (int rows in new[] { 1, 8 })
        {
            using DeviceTensor x = device.Allocate(rows, Inputs);
            using DeviceTensor y = device.Allocate(rows, Outputs);
            Pairs pairs = Pairs.Run(
                15, () => Pairs.Time(() => Multiply(packing, x, packed, y, rows)), () => Pairs.Time(() => Multiply(device, x, stored, y, rows)));
            double work = Products * (double)rows * Inputs * Outputs / 1e9;
            yield return new Figure(
                $"{Rows(rows)}, BF16 packed against stored, {Outputs} x {Inputs}", work / pairs.First, "G/s", work / pairs.Second, "as stored", pairs.SecondOverFirst);
        }
    }

    private static IEnumerable<Figure> Of(CpuDevice device, DeviceWeight weight, string type, long bytes, bool asked)
    {
        foreach (int rows in new[] { 1, 8 })
        {
            using DeviceTensor x = device.Allocate(rows, Inputs);
            using DeviceTensor y = device.Allocate(rows, Outputs);
            using var passes = new MachinePeaks.Passes(device.Threads);

            // The ceiling is measured between the products, pass by pass: other machines share its memory and its clock.
            Pairs pairs = Pairs.Run(
                15, () => Pairs.Time(() => Multiply(device, x, weight, y, rows)), () => rows == 1 ? passes.Read() : passes.Multiply());
            double amount = Products * (rows == 1 ? bytes / 1e9 : (double)rows * Inputs * Outputs / 1e9);
            double ceiling = rows == 1 ? passes.ReadBytes / 1e9 : passes.MultiplyAdds / 1e9;
            yield return new Figure(
                $"{Rows(rows)}, {type}, {Outputs} x {Inputs}",
                amount / pairs.First,
                rows == 1 ? "GB/s" : "G/s",
                ceiling / pairs.Second,
                rows == 1 ? "reading memory" : "multiply-add peak",
                pairs.SecondOverFirst * amount / ceiling,
                asked ? rows == 1 ? 0.7 : 0.6 : null);
        }
    }

    private static string Rows(int rows) => rows == 1 ? "one row" : $"{rows} rows";

    private static void Multiply(CpuDevice device, DeviceTensor x, DeviceWeight weight, DeviceTensor y, int rows)
    {
        for (int i = 0; i < Products; i++)
        {
            device.MatMul(x, weight, null, y, rows);
        }
    }
}
