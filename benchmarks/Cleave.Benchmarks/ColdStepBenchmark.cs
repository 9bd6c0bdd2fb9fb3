using System.Diagnostics;
using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>A step of one row that comes after 80 ms of silence, as over a long link: what sleeping cores and cold caches cost it.</summary>
internal static class ColdStepBenchmark
{
    private const int Runs = 40;
    private const double SilenceMs = 80;

    public static void Run(CpuDevice device)
    {
        Console.WriteLine();
        Console.WriteLine($"step of one row after 256 (12 layers and head): median of {Runs}");
        using var model = new DemoModel(device);
        DemoModel.Buffers buffers = model.Allocate(1);
        void Step() => model.Step(buffers, 256, 1);
        Report("one after another", static () => { });
        Report("after 80 ms of silence", static () => Silence(SilenceMs));
        Report("after 80 ms, this core kept awake for the last 2", static () =>
        {
            Silence(SilenceMs - 2);
            Spin(2);
        });
        Report("after 80 ms, the weights read just before", () =>
        {
            Silence(SilenceMs - 1);
            model.ReadWeights();
        });
        Report("after 80 ms, another step just before", () =>
        {
            Silence(SilenceMs - 1);
            Step();
        });

        void Report(string name, Action before)
        {
            var milliseconds = new double[Runs];
            for (int run = -2; run < Runs; run++)
            {
                before();
                long start = Stopwatch.GetTimestamp();
                Step();
                milliseconds[Math.Max(0, run)] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }

            Array.Sort(milliseconds);
            Console.WriteLine($"{name,-50} {milliseconds[Runs / 2],6:f3} ms");
        }
    }

    private static void Silence(double milliseconds) => Thread.Sleep(TimeSpan.FromMilliseconds(milliseconds));

    private static void Spin(double milliseconds)
    {
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < milliseconds)
        {
            Thread.SpinWait(20);
        }
    }
}
