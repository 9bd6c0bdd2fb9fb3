namespace Cleave.Models;

/// <summary>What loading does to a model's matrices.</summary>
public enum WeightPrecision
{
    /// <summary>Nothing: they are used as they are stored.</summary>
    Stored,

    /// <summary>Floating-point matrices become Q8_0 (<see cref="QuantizedModel"/>).</summary>
    Q8,
}
