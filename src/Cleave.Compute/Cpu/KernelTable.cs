using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

/// <summary>Which kernels run here: the first supported of a table in preference order, unless CLEAVE_KERNELS names one.</summary>
internal static class KernelTable
{
    public const string Variable = "CLEAVE_KERNELS";

    private static readonly (KernelPath Path, Func<bool> IsSupported, Func<KernelSet> Create)[] InPreferenceOrder =
    [
        (KernelPath.Avx512, () => Avx512Lanes.IsSupported, () => new VectorKernels<Avx512Lanes>(KernelPath.Avx512)),
        (KernelPath.Avx2, () => Avx2Lanes.IsSupported, () => new VectorKernels<Avx2Lanes>(KernelPath.Avx2)),
        (KernelPath.Portable, () => Vector128.IsHardwareAccelerated, () => new VectorKernels<PortableLanes>(KernelPath.Portable)),
        (KernelPath.Scalar, () => true, () => new ScalarKernels()),
    ];

    /// <summary>Every path this machine can run, best first.</summary>
    public static IEnumerable<KernelPath> Supported => InPreferenceOrder.Where(entry => entry.IsSupported()).Select(entry => entry.Path);

    /// <exception cref="NotSupportedException">The path asked for does not run here, or the variable names none.</exception>
    public static KernelSet Select(KernelPath? path)
    {
        path ??= FromEnvironment();
        foreach ((KernelPath candidate, Func<bool> isSupported, Func<KernelSet> create) in InPreferenceOrder)
        {
            if ((path is null || path == candidate) && isSupported())
            {
                return create();
            }
        }

        throw new NotSupportedException($"this machine cannot run the {path} kernels; it has {string.Join(", ", Supported)}");
    }

    private static KernelPath? FromEnvironment()
    {
        string? name = Environment.GetEnvironmentVariable(Variable);
        return string.IsNullOrEmpty(name) ? null
            : Enum.TryParse(name, ignoreCase: true, out KernelPath path) && Enum.IsDefined(path) ? path
            : throw new NotSupportedException($"{Variable}={name} is not a kernel path: use scalar, portable, avx2 or avx512");
    }
}
