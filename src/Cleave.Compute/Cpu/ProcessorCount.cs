using System.Globalization;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>How many threads a device takes by default.</summary>
internal static class ProcessorCount
{
    public const string Variable = "CLEAVE_THREADS";

    /// <summary>CLEAVE_THREADS, else the processors this process may use, hyper-threads counted once.</summary>
    public static int Default()
    {
        string? text = Environment.GetEnvironmentVariable(Variable);
        if (!string.IsNullOrEmpty(text))
        {
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads is > 0 and <= 1024
                ? threads
                : throw new NotSupportedException($"{Variable}={text} is not a number of threads from 1 to 1024");
        }

        return Math.Max(1, Environment.ProcessorCount / ThreadsPerCore());
    }

    /// <summary>CPUID leaf 11, level 0: logical processors that share a core. Two such threads share one set of multipliers.</summary>
    private static int ThreadsPerCore()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 11)
        {
            return 1;
        }

        return Math.Clamp(X86Base.CpuId(11, 0).Ebx & 0xffff, 1, 8);
    }
}
