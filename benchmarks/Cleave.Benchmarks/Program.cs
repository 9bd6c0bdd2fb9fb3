using System.Runtime.InteropServices;
using Cleave.Benchmarks.Report;
using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>
/// Usage: Cleave.Benchmarks [peaks] [kernels] [matmul] [products] [invariance] [operations] [step] [cold] (without names, all of them), or
/// Cleave.Benchmarks report [--llama FOLDER] [--json] for the figures of docs/PERFORMANCE.md.
/// </summary>
internal static class Program
{
    public static int Main(string[] args)
    {
        using var device = new CpuDevice();
        if (args is ["report", .. string[] options])
        {
            return Report(device, options);
        }

        string[] sections = args.Length > 0 ? args : ["peaks", "kernels", "matmul", "products", "invariance", "operations", "step", "cold"];
        Console.WriteLine($"{device.Name} {device.Path}, {device.Threads} threads, {device.Fingerprint}, .NET {Environment.Version}, {RuntimeInformation.RuntimeIdentifier}");
        var peaks = MachinePeaks.Measure(device.Threads);
        Console.WriteLine($"read bandwidth {peaks.ReadGBPerSecond:f1} GB/s, fused multiply-add peak {peaks.GigaMultiplyAddsPerSecond:f0} G/s, over {device.Threads} threads");
        foreach (string section in sections)
        {
            switch (section)
            {
                case "peaks":
                    break;
                case "kernels":
                    KernelBenchmark.Run(device, peaks);
                    break;
                case "matmul":
                    MatMulBenchmark.Run(device, peaks);
                    break;
                case "products":
                    Print(ProductFigures.Measure(device));
                    break;
                case "invariance":
                    Print(InvarianceFigures.Measure(device));
                    break;
                case "operations":
                    OperationBenchmark.Run(device);
                    break;
                case "step":
                    StepBenchmark.Run(device, peaks);
                    break;
                case "cold":
                    ColdStepBenchmark.Run(device);
                    break;
                default:
                    Console.Error.WriteLine($"unknown section '{section}': peaks, kernels, matmul, products, invariance, operations, step, cold or report");
                    return 1;
            }
        }

        return 0;
    }

    private static void Print(IEnumerable<Figure> figures)
    {
        foreach (Figure figure in figures)
        {
            Console.WriteLine(ReportRun.Line(figure));
        }
    }

    /// <summary>The checkout this was built in.</summary>
    public static string Root()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException("Cleave.slnx not found above the benchmarks");
    }

    private static int Report(CpuDevice device, string[] options)
    {
        string? llama = null;
        bool json = false;
        for (int i = 0; i < options.Length; i++)
        {
            if (options[i] == "--json")
            {
                json = true;
            }
            else if (options[i] == "--llama" && i + 1 < options.Length)
            {
                llama = options[++i];
            }
            else
            {
                Console.Error.WriteLine($"unknown option '{options[i]}': report [--llama FOLDER] [--json], FOLDER being where `npm install node-llama-cpp` was run");
                return 1;
            }
        }

        ReportRun.Run(device, llama, json);
        return 0;
    }
}
