namespace Cleave.Compute.Cpu;

/// <summary>Work in independent items, run by a <see cref="ThreadTeam"/> in any order on any thread.</summary>
internal abstract class ParallelJob
{
    /// <summary>Runs one item; <paramref name="worker"/> (0..threads-1) picks private scratch memory.</summary>
    public abstract void Run(int item, int worker);
}
