using System.Runtime.InteropServices;

namespace Cleave.Inference.Sampling;

/// <summary>
/// Choosing from a <see cref="LogitSummary"/>. Tokens it does not name have logits that come after its last one in the order (logit
/// descending, token ascending), and no penalties: so whatever ranks before that last one ranks where it would in the whole row. A choice
/// is made only if no unnamed token could change it, with the same arithmetic on the same numbers.
/// </summary>
public sealed partial class Sampler
{
    // Greedy looks at one; a few more cost nothing and let penalties push the first ones down.
    private const int GreedyLargest = 8;
    private const int PenalisedLargest = 64;
    private const int FilteredLargest = 128;
    private const int MostLargest = 256;

    private readonly List<Named> _named = [];
    private readonly HashSet<int> _namedTokens = [];

    /// <summary>
    /// What to ask of each row, or null when a choice needs whole rows anyway: unfiltered sampling, where the noise may lift any token.
    /// </summary>
    public LogitReduction? Reduction(TokenHistory history, int vocabularySize)
    {
        ArgumentNullException.ThrowIfNull(history);
        int count = Math.Min(vocabularySize, _vocabularySize);
        int largest = Options.IsGreedy ? Options.HasPenalties ? PenalisedLargest : GreedyLargest
            : Options.TopK > 0 ? Options.TopK + (Options.HasPenalties ? PenalisedLargest : GreedyLargest)
            : Options.TopP < 1 || Options.MinP > 0 ? FilteredLargest
            : int.MaxValue;
        return largest > MostLargest
            ? null
            : new LogitReduction(count, Math.Min(largest, count), Options.IsGreedy ? 1 : Options.Temperature, Penalised(history)) { Penalises = Options.HasPenalties };
    }

    /// <summary>The token that follows a row, if the summary decides it; the whole row must be asked otherwise.</summary>
    /// <param name="summary">The row in short.</param>
    /// <param name="history">Tokens on its path.</param>
    /// <param name="position">That of the token chosen.</param>
    /// <param name="token">The choice, the one <see cref="Choose"/> would make.</param>
    public bool TryChoose(LogitSummary summary, TokenHistory history, int position, out int token)
    {
        ArgumentNullException.ThrowIfNull(summary);
        token = -1;
        if (!TryName(summary, history))
        {
            return false;
        }

        // Named tokens whose rank is that in the whole row.
        ReadOnlySpan<Named> ranked = CollectionsMarshal.AsSpan(_named);
        if (ranked.Length < summary.Count)
        {
            var last = new Named(summary.Tokens[^1], summary.Values[^1]);
            int certain = 0;
            while (certain < ranked.Length && Named.Compare(ranked[certain], last) <= 0)
            {
                certain++;
            }

            ranked = ranked[..certain];
        }

        if (ranked.IsEmpty)
        {
            return false;
        }

        if (Options.IsGreedy)
        {
            token = ranked[0].Token;
            return true;
        }

        return Options.TopK > 0 || Options.TopP < 1
            ? TryChooseAmongTop(summary, ranked, position, out token)
            : TryChooseByThreshold(summary, ranked, position, out token);
    }

    private IReadOnlyCollection<int> Penalised(TokenHistory history) =>
        Options.RepetitionPenalty != 1 ? history.Seen
        : Options.HasPenalties ? (IReadOnlyCollection<int>)history.OutputCounts.Keys
        : [];

    /// <summary>Fills _named with every token the summary names, penalised, in rank order; false when a penalised token is not named.</summary>
    private bool TryName(LogitSummary summary, TokenHistory history)
    {
        _named.Clear();
        _namedTokens.Clear();
        for (int i = 0; i < summary.Tokens.Length; i++)
        {
            Name(summary.Tokens[i], summary.Values[i], history);
        }

        for (int i = 0; i < summary.AskedTokens.Length; i++)
        {
            Name(summary.AskedTokens[i], summary.AskedValues[i], history);
        }

        if (Options.HasPenalties)
        {
            foreach (int token in Penalised(history))
            {
                if (token < summary.Count && !_namedTokens.Contains(token))
                {
                    return false;
                }
            }
        }

        _named.Sort(Named.Compare);
        return true;
    }

    private void Name(int token, float logit, TokenHistory history)
    {
        if (!_namedTokens.Add(token))
        {
            return;
        }

        float adjusted = logit;
        if (Options.RepetitionPenalty != 1 && history.Seen.Contains(token))
        {
            adjusted = Repeated(adjusted);
        }

        if ((Options.FrequencyPenalty != 0 || Options.PresencePenalty != 0) && history.OutputCounts.TryGetValue(token, out int occurrences))
        {
            adjusted -= Occurred(occurrences);
        }

        _named.Add(new Named(token, adjusted) { Raw = logit });
    }

    /// <summary><see cref="ChooseByThreshold"/> where min-p leaves named tokens only, or the best score is out of reach for others.</summary>
    private bool TryChooseByThreshold(LogitSummary summary, ReadOnlySpan<Named> ranked, int position, out int token)
    {
        token = -1;
        double floor = Options.MinP > 0 ? ranked[0].Logit + (Options.Temperature * Math.Log(Options.MinP)) : double.NegativeInfinity;
        (int best, double bestScore) = (ranked[0].Token, Score(ranked[0].Logit, position, ranked[0].Token));
        foreach (Named named in ranked[1..])
        {
            if (named.Logit >= floor && !float.IsNegativeInfinity(named.Logit))
            {
                Consider(named.Token, Score(named.Logit, position, named.Token), ref best, ref bestScore);
            }
        }

        // The last of the certain ranks: everything else is at most that.
        double others = ranked[^1].Logit;
        bool complete = ranked.Length == summary.Count || others < floor || (others / Options.Temperature) + GumbelNoise.Maximum < bestScore;
        token = best;
        return complete;
    }

    /// <summary><see cref="ChooseAmongTop"/> where the filters end within the certain ranks.</summary>
    private bool TryChooseAmongTop(LogitSummary summary, ReadOnlySpan<Named> ranked, int position, out int token)
    {
        token = -1;
        double top = ranked[0].Logit;
        int limit = Options.TopK > 0 ? Math.Min(Options.TopK, summary.Count) : summary.Count;
        (double total, double error) = (0, 0);
        if (Options.TopP < 1)
        {
            if (limit == summary.Count)
            {
                (total, error) = MassOf(summary, top);
            }
            else if (limit > ranked.Length)
            {
                return false;
            }
            else
            {
                for (int i = 0; i < limit; i++)
                {
                    total += Math.Exp((ranked[i].Logit - top) / Options.Temperature);
                }
            }
        }

        double floor = Options.MinP > 0 ? top + (Options.Temperature * Math.Log(Options.MinP)) : double.NegativeInfinity;
        (int best, double bestScore) = (-1, double.NegativeInfinity);
        double mass = 0;
        for (int taken = 0; taken < limit; taken++)
        {
            if (taken > 0 && Options.TopP < 1)
            {
                if (mass >= Options.TopP * (total + error))
                {
                    break;
                }

                if (error > 0 && mass >= Options.TopP * (total - error))
                {
                    // Too close for a sum that is not the whole row's own.
                    return false;
                }
            }

            if (taken == ranked.Length)
            {
                // What follows is at most the last certain one; the floor may end it all the same.
                if (ranked[^1].Logit < floor)
                {
                    break;
                }

                return false;
            }

            double logit = ranked[taken].Logit;
            if (taken > 0 && (logit < floor || double.IsNegativeInfinity(logit)))
            {
                break;
            }

            mass += Math.Exp((logit - top) / Options.Temperature);
            double score = Score(logit, position, ranked[taken].Token);
            if (best < 0)
            {
                (best, bestScore) = (ranked[taken].Token, score);
            }
            else
            {
                Consider(ranked[taken].Token, score, ref best, ref bestScore);
            }
        }

        token = best;
        return true;
    }

    /// <summary>Mass of the whole row relative to <paramref name="top"/>, with what penalties change of it, and its error at most.</summary>
    private (double Total, double Error) MassOf(LogitSummary summary, double top)
    {
        double total = summary.Mass * Math.Exp((summary.Values[0] - top) / Options.Temperature);
        double error = total * LogitSummary.MassError;
        foreach (Named named in _named)
        {
            if (named.Logit != named.Raw)
            {
                total += Math.Exp((named.Logit - top) / Options.Temperature) - Math.Exp((named.Raw - top) / Options.Temperature);
            }
        }

        return (total, error);
    }

    /// <summary>A token the summary names, with its logit before and after penalties.</summary>
    private readonly record struct Named(int Token, float Logit)
    {
        public float Raw { get; init; }

        /// <summary>Descending logits, equal ones by ascending token.</summary>
        public static int Compare(Named a, Named b) => a.Logit != b.Logit ? b.Logit.CompareTo(a.Logit) : a.Token.CompareTo(b.Token);
    }
}
