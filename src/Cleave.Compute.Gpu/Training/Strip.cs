namespace Cleave.Compute.Gpu.Training;

/// <summary>Eight numbers in registers: sums of one row of a thread's square, or what it brings of a slice.</summary>
internal struct Strip
{
    public float V0;
    public float V1;
    public float V2;
    public float V3;
    public float V4;
    public float V5;
    public float V6;
    public float V7;

    /// <summary>This + a · b.</summary>
    public readonly Strip Plus(float a, Strip b) => new()
    {
        V0 = V0 + (a * b.V0),
        V1 = V1 + (a * b.V1),
        V2 = V2 + (a * b.V2),
        V3 = V3 + (a * b.V3),
        V4 = V4 + (a * b.V4),
        V5 = V5 + (a * b.V5),
        V6 = V6 + (a * b.V6),
        V7 = V7 + (a * b.V7),
    };
}
