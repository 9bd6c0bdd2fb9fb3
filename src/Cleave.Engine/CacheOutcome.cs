namespace Cleave.Engine;

/// <summary>Result of a cache operation.</summary>
/// <param name="Fault">None, or why it was refused.</param>
/// <param name="Index">Index of the offending row or id; 0 when none.</param>
/// <param name="Dropped">Rows dropped because their parent was dead (append only).</param>
public readonly record struct CacheOutcome(CacheFault Fault, int Index = 0, int Dropped = 0)
{
    /// <summary>True when the operation was applied.</summary>
    public bool Succeeded => Fault == CacheFault.None;
}
