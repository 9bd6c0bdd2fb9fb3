namespace Cleave.Compute;

/// <summary>The CPU behind <see cref="IComputeDevice"/>.</summary>
public sealed partial class CpuDevice
{
    // Owned by the kernels: see Cpu/.
}
