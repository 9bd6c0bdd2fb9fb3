namespace Cleave.Compute.Cpu;

/// <summary>The keys or the values of one head at up to 64 positions: position j is at Start + Slots[j] · Stride.</summary>
internal readonly unsafe struct PositionBlock(float* start, int* slots, nint stride)
{
    /// <summary>The head's numbers in slot 0.</summary>
    public readonly float* Start = start;

    /// <summary>Slot of each position.</summary>
    public readonly int* Slots = slots;

    /// <summary>Floats from one slot to the next.</summary>
    public readonly nint Stride = stride;

    public float* this[int position] => Start + (Slots[position] * Stride);
}
