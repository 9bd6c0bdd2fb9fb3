namespace Cleave.Endurance.Fuzz;

/// <summary>What a fuzz run did.</summary>
/// <param name="Target">Its target.</param>
/// <param name="Inputs">Inputs tried.</param>
/// <param name="Elapsed">In this time.</param>
/// <param name="EdgesBefore">Branches that seeds and corpus reach.</param>
/// <param name="Edges">Branches reached in the end.</param>
/// <param name="Kept">Inputs that reached something new.</param>
/// <param name="Findings">Inputs that threw, broke a promise or hung.</param>
/// <param name="HeapGrowthBytes">Live heap after the run less that before.</param>
internal sealed record FuzzReport(string Target, long Inputs, TimeSpan Elapsed, int EdgesBefore, int Edges, int Kept, int Findings, long HeapGrowthBytes);
