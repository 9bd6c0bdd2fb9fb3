using System.Runtime.Intrinsics.X86;
using Cleave.Compute;
using Cleave.Compute.Cpu;

namespace Cleave.Benchmarks.Report;

/// <summary>What the one order along K costs against the fastest products we could write without it.</summary>
internal static unsafe class InvarianceFigures
{
    private const int Inputs = 4096;
    private const int Outputs = 32768;

    public static IEnumerable<Figure> Measure(CpuDevice device)
    {
        if (!Avx512F.IsSupported)
        {
            yield break;
        }

        using var team = new ThreadTeam(device.Threads);
        yield return OneRow(device, team, ElementType.BF16);
        yield return OneRow(device, team, ElementType.Q8_0);
        yield return Tile(8);
        yield return Tile(96);
    }

    private static Figure OneRow(CpuDevice device, ThreadTeam team, ElementType type)
    {
        TensorData data = RandomWeights.Create(type, Outputs, Inputs);
        using DeviceWeight weight = device.LoadWeight([data]);
        using var x = (CpuTensor)device.Allocate(1, Inputs);
        using var y = (CpuTensor)device.Allocate(1, Outputs);
        int items = 8 * team.Size;
        var job = new FreeRowJob(data, x.Pointer, y.Pointer, items);
        Pairs pairs = Pairs.Run(15, () => Pairs.Time(() => Repeat(() => device.MatMul(x, weight, null, y, 1))), () => Pairs.Time(() => Repeat(() => team.Run(job, items))));
        double gigabytes = ProductFigures.Products * data.ByteLength / 1e9;
        return new Figure($"invariance: one row, {type}, {Outputs} x {Inputs}", gigabytes / pairs.First, "GB/s", gigabytes / pairs.Second, "no fixed order", pairs.SecondOverFirst, 0.9);
    }

    private static void Repeat(Action product)
    {
        for (int i = 0; i < ProductFigures.Products; i++)
        {
            product();
        }
    }

    /// <summary>
    /// The kernel that so many rows are multiplied by (in place for eight, from unpacked panels for more) over float32 weights in cache,
    /// against the textbook tile; one thread.
    /// </summary>
    private static Figure Tile(int rows)
    {
        const int K = 512;
        const int Panels = FreeTile.Outputs / KernelSet.PanelOutputs;
        const int Repeats = 400;
        KernelSet kernels = KernelTable.Select(null);
        using var x = new NativeBuffer((long)rows * (K + 16) * sizeof(float));
        using var panels = new NativeBuffer((long)FreeTile.Outputs * (K + 16) * sizeof(float));
        using var y = new NativeBuffer((long)rows * FreeTile.Outputs * sizeof(float));
        foreach (NativeBuffer buffer in (NativeBuffer[])[x, panels])
        {
            new Span<float>(buffer.Pointer, (int)(buffer.ByteLength / sizeof(float))).Fill(0.5f);
        }

        Pairs pairs = Pairs.Run(31, () => Pairs.Time(Ours), () => Pairs.Time(Free));
        double work = (double)rows * FreeTile.Outputs * K * Repeats / 1e9;
        return new Figure($"invariance: {rows} rows, weights in cache, one thread", work / pairs.First, "G/s", work / pairs.Second, "no fixed order", pairs.SecondOverFirst, 0.9);

        void Ours()
        {
            for (int repeat = 0; repeat < Repeats; repeat++)
            {
                if (rows <= kernels.MostDotRows(ElementType.F32, K))
                {
                    kernels.Dot(ElementType.F32, (float*)x.Pointer, rows, panels.Pointer, K * sizeof(float), FreeTile.Outputs, K, (float*)y.Pointer, FreeTile.Outputs, null, TilePart.Whole);
                    continue;
                }

                for (int panel = 0; panel < Panels; panel++)
                {
                    float* w = (float*)panels.Pointer + (panel * KernelSet.PanelOutputs * KernelSet.PanelStride(K));
                    float* to = (float*)y.Pointer + (panel * KernelSet.PanelOutputs);
                    kernels.Tile((float*)x.Pointer, K + 16, rows, w, KernelSet.PanelOutputs, K, to, FreeTile.Outputs, null, TilePart.Whole);
                }
            }
        }

        void Free()
        {
            for (int repeat = 0; repeat < Repeats; repeat++)
            {
                for (int row = 0; row < rows; row += FreeTile.Rows)
                {
                    FreeTile.Run((float*)x.Pointer + (row * (K + 16)), K + 16, (float*)panels.Pointer, K, (float*)y.Pointer + (row * FreeTile.Outputs), FreeTile.Outputs);
                }
            }
        }
    }
}
