namespace Cleave.Engine;

/// <summary>Chooses a token's experts from its router scores.</summary>
internal static class ExpertRouting
{
    /// <summary>
    /// Softmax over <paramref name="scores"/>, the largest <paramref name="chosen"/>.Length of it (ties to the lower index),
    /// optionally renormalised. Double precision, fixed order.
    /// </summary>
    public static void Choose(ReadOnlySpan<float> scores, bool normalize, Span<int> chosen, Span<float> weights)
    {
        double max = double.NegativeInfinity;
        foreach (float score in scores)
        {
            max = Math.Max(max, score);
        }

        double sum = 0;
        foreach (float score in scores)
        {
            sum += Math.Exp(score - max);
        }

        double chosenSum = 0;
        for (int rank = 0; rank < chosen.Length; rank++)
        {
            int best = -1;
            for (int i = 0; i < scores.Length; i++)
            {
                if (!chosen[..rank].Contains(i) && (best < 0 || scores[i] > scores[best]))
                {
                    best = i;
                }
            }

            chosen[rank] = best;
            double probability = Math.Exp(scores[best] - max) / sum;
            weights[rank] = (float)probability;
            chosenSum += probability;
        }

        if (normalize)
        {
            for (int rank = 0; rank < chosen.Length; rank++)
            {
                weights[rank] = (float)(Math.Exp(scores[chosen[rank]] - max) / sum / chosenSum);
            }
        }
    }
}
