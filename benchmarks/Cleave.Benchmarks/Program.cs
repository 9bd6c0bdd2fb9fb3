using System.Runtime.InteropServices;
using Cleave.Benchmarks;
using Cleave.Compute;

// Usage: Cleave.Benchmarks [peaks] [kernels] [matmul] [operations] [step] [invariance]; without names, all of them.
string[] sections = args.Length > 0 ? args : ["peaks", "kernels", "matmul", "operations", "step", "invariance"];
using var device = new CpuDevice();
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
        case "operations":
            OperationBenchmark.Run(device);
            break;
        case "step":
            StepBenchmark.Run(device, peaks);
            break;
        case "invariance":
            InvarianceBenchmark.Run(device);
            break;
        default:
            Console.Error.WriteLine($"unknown section '{section}': peaks, kernels, matmul, operations, step or invariance");
            return 1;
    }
}

return 0;
