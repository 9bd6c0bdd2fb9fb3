using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>What the one schedule along K costs against the fastest product we could write without it.</summary>
internal static class InvarianceBenchmark
{
    public static void Run(CpuDevice device) => _ = device;
}
