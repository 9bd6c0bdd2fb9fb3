namespace Cleave.Models;

/// <summary>What loading does to a model's matrices.</summary>
public enum WeightPrecision
{
    /// <summary>Nothing: they are used as they are stored.</summary>
    Stored,

    /// <summary>Floating-point matrices become Q8_0 (<see cref="QuantizedModel"/>).</summary>
    Q8,

    /// <summary>
    /// The same numbers: a CPU keeps BF16 matrices in three quarters of their bytes, in memory of its own, bit for bit what is stored. Other devices
    /// and other types use them as they are stored.
    /// </summary>
    Packed,
}
