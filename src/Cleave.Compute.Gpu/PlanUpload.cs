using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>The plan of the current step on the device, uploaded once however many layers read it.</summary>
internal sealed class PlanUpload(Accelerator accelerator, Action<long> account) : IDisposable
{
    private readonly Scratch<int> _rows = new(accelerator, account);
    private readonly Scratch<int> _tables = new(accelerator, account);
    private readonly Scratch<int> _tails = new(accelerator, account);
    private AttentionPlan? _plan;
    private long _revision;

    public ArrayView<int> Rows { get; private set; }

    public ArrayView<int> Tables { get; private set; }

    public ArrayView<int> Tails { get; private set; }

    /// <summary>Makes the device's copy that of <paramref name="plan"/>; true when it changed.</summary>
    public bool Use(AcceleratorStream stream, AttentionPlan plan)
    {
        if (ReferenceEquals(plan, _plan) && plan.Revision == _revision)
        {
            return false;
        }

        Rows = Put(stream, _rows, MemoryMarshal.Cast<AttentionRow, int>(plan.Rows));
        Tables = Put(stream, _tables, plan.Tables);
        Tails = Put(stream, _tails, plan.Tails);
        _plan = plan;
        _revision = plan.Revision;
        return true;
    }

    public void Dispose()
    {
        _rows.Dispose();
        _tables.Dispose();
        _tails.Dispose();
    }

    private static ArrayView<int> Put(AcceleratorStream stream, Scratch<int> scratch, ReadOnlySpan<int> values)
    {
        // Rounded up so that a growing history does not reallocate at every step.
        ArrayView<int> view = scratch.Get(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(1024, values.Length)));
        HostCopy.ToDevice(stream, values, view);
        return view;
    }
}
