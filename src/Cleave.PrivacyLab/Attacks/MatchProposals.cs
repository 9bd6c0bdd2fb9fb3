namespace Cleave.PrivacyLab.Attacks;

/// <summary>Tokens worth trying, by row.</summary>
/// <param name="Probe">[rows, probeRanks] from each row's own state.</param>
/// <param name="ProbeRanks">Ranks of the probe; 0 without one.</param>
/// <param name="Successors">[rows, successorRanks] after each row.</param>
/// <param name="SuccessorRanks">Ranks of the language model; 0 without one.</param>
internal sealed record MatchProposals(int[] Probe, int ProbeRanks, int[] Successors, int SuccessorRanks)
{
    /// <summary>Adds proposals of the probe for a row, ranks [start, start + count).</summary>
    public void AddProbe(int row, int start, int count, List<int> tokens)
    {
        int end = Math.Min(start + count, ProbeRanks);
        for (int rank = start; rank < end; rank++)
        {
            tokens.Add(Probe[(row * ProbeRanks) + rank]);
        }
    }

    /// <summary>Adds what the language model expects after <paramref name="parent"/>.</summary>
    public void AddSuccessors(int parent, List<int> tokens)
    {
        for (int rank = 0; parent >= 0 && rank < SuccessorRanks; rank++)
        {
            tokens.Add(Successors[(parent * SuccessorRanks) + rank]);
        }
    }
}
