namespace Cleave.Compute.Cpu;

/// <summary>Which part of a product along K a tile computes. Between parts, the sixteen lanes of every sum are kept as they are.</summary>
[Flags]
internal enum TilePart
{
    /// <summary>All of K at once.</summary>
    Whole = 0,

    /// <summary>Starts from the lanes kept by the part before.</summary>
    Resume = 1,

    /// <summary>Keeps the lanes for the part after instead of adding them up.</summary>
    Pause = 2,
}
