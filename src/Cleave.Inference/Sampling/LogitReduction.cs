using Cleave.Compute;

namespace Cleave.Inference.Sampling;

/// <summary>What of a row of logits the sampler will probably look at (<see cref="Sampler.Reduction"/>).</summary>
/// <param name="Count">Tokens that take part, from 0 on.</param>
/// <param name="Largest">How many of the largest logits.</param>
/// <param name="Temperature">Temperature of the mass.</param>
/// <param name="Penalised">Tokens whose logits are wanted wherever they rank; it may grow while text is generated.</param>
public sealed record LogitReduction(int Count, int Largest, double Temperature, IReadOnlyCollection<int> Penalised)
{
    // Past this a whole row is as quick.
    private const int MostPenalised = 4096;

    /// <summary>The question for rows whose paths may also hold <paramref name="pathTokens"/>; null when whole rows are as quick.</summary>
    internal TopRows? Ask(IEnumerable<int> pathTokens)
    {
        if (Penalised.Count > MostPenalised)
        {
            return null;
        }

        var asked = new SortedSet<int>(Penalised);
        if (Penalises)
        {
            asked.UnionWith(pathTokens);
        }

        asked.RemoveWhere(token => (uint)token >= (uint)Count);
        return new TopRows(Count, Largest, (float)(1 / Temperature), asked);
    }

    /// <summary>True when tokens of a path change its logits.</summary>
    public bool Penalises { get; init; }
}
