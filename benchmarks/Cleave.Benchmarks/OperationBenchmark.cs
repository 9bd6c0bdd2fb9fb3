using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>Each operation at the bundled model's shape.</summary>
internal static class OperationBenchmark
{
    public static void Run(CpuDevice device)
    {
        Console.WriteLine();
        Console.WriteLine("microseconds per operation by rows (history 256)");
        int[] counts = [1, 8, 32, 128];
        Console.WriteLine($"{"",-22}{string.Concat(counts.Select(rows => $"{rows,9}"))}");
        Report("norm 384", rows => Tensors(rows, 384, 384, (x, y) => device.RmsNorm(x, Norm(device, 384), 1e-5f, y, rows)));
        Report("add 384", rows => Tensors(rows, 384, 384, (x, y) => device.Add(x, y, 1, rows)));
        Report("silu 1024", rows => Tensors(rows, 1024, 1024, (x, y) => device.GatedActivation(x, y, Activation.Silu, y, rows)));
        Report("rope 6 x 64", rows => Planned(rows, (plan, x, _, _) => device.Rope(x, 64, Rope, plan)));
        Report("store 2 x 64 F32", rows => Planned(rows, (plan, x, _, arena) => device.StoreKv(x.Columns(0, 128), x.Columns(128, 128), arena, 0, plan)));
        Report("store 2 x 64 F16", rows => Planned(rows, (plan, x, _, arena) => device.StoreKv(x.Columns(0, 128), x.Columns(128, 128), arena, 0, plan), ElementType.F16));
        foreach (ElementType type in new[] { ElementType.F32, ElementType.F16, ElementType.Q8_0 })
        {
            Report($"attention {type}", rows => Planned(rows, (plan, x, y, arena) => device.Attention(x, arena, 0, plan, new AttentionShape(6, 2, 64, 0.125f), y), type));
        }

        foreach ((int outputs, int inputs) in new[] { (640, 384), (384, 384), (2048, 384), (384, 1024), (12288, 384) })
        {
            using DeviceWeight weight = device.LoadWeight([RandomWeights.Create(ElementType.Q8_0, outputs, inputs)]);
            Report($"matmul {outputs} x {inputs}", rows => Tensors(rows, inputs, outputs, (x, y) => device.MatMul(x, weight, null, y, rows)));
        }

        void Report(string name, Func<int, double> seconds) =>
            Console.WriteLine($"{name,-22}{string.Concat(counts.Select(rows => $"{seconds(rows) * 1e6,9:f2}"))}");

        double Tensors(int rows, int inputs, int outputs, Action<DeviceTensor, DeviceTensor> operation)
        {
            using DeviceTensor x = device.Allocate(rows, inputs);
            using DeviceTensor y = device.Allocate(rows, outputs);
            return Timing.Median(() => Repeat(() => operation(x, y)), 0.1) / Repeats;
        }

        double Planned(int rows, Action<AttentionPlan, DeviceTensor, DeviceTensor, KvArena> operation, ElementType type = ElementType.F32)
        {
            const int History = 256;
            using DeviceTensor x = device.Allocate(rows, 384);
            using DeviceTensor y = device.Allocate(rows, 384);
            using KvArena arena = device.AllocateKv(1, 512, 128, type);
            int[] slots = [.. Enumerable.Range(0, 512)];
            var plan = new AttentionPlan();
            int table = plan.AddTable(slots.AsSpan(0, History));
            for (int row = 0; row < rows; row++)
            {
                plan.AddRow(table, History, slots.AsSpan(History, row + 1));
            }

            return Timing.Median(() => Repeat(() => operation(plan, x, y, arena)), 0.1) / Repeats;
        }
    }

    private const int Repeats = 10;

    private static readonly RopeTable Rope = new([.. Enumerable.Range(0, 32).Select(i => Math.Pow(10000, -i / 32.0))], RopeLayout.Interleaved);

    private static DeviceTensor? _norm;

    private static DeviceTensor Norm(CpuDevice device, int columns) => _norm ??= device.Allocate(1, columns);

    private static void Repeat(Action operation)
    {
        for (int i = 0; i < Repeats; i++)
        {
            operation();
        }
    }
}
