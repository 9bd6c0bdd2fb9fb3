namespace Cleave.Benchmarks.Report;

/// <summary>One line of the report: what was measured, against what, and what it should be.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Value">The measurement.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="Against">What it is compared with, in the same unit; null when nothing.</param>
/// <param name="Reference">Name of what it is compared with.</param>
/// <param name="Ratio">Value over Against, the median over interleaved pairs.</param>
/// <param name="Least">The ratio it should reach; null when none was set.</param>
internal sealed record Figure(string Name, double Value, string Unit, double? Against = null, string? Reference = null, double? Ratio = null, double? Least = null)
{
    /// <summary>Whether the ratio reaches what it should; null when nothing was asked.</summary>
    public bool? Reached => Least is { } least && Ratio is { } ratio ? ratio >= least : null;
}
