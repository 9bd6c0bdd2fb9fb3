namespace Cleave.PrivacyLab.Learning;

/// <summary>The indices of the largest few of many scores.</summary>
internal static class BestFew
{
    /// <summary>Fills <paramref name="best"/> with indices, the largest score first (ties to the lower index); -1 where there are fewer scores.</summary>
    public static void Find(ReadOnlySpan<float> scores, Span<int> best)
    {
        Span<float> values = stackalloc float[best.Length];
        int count = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            float score = scores[i];
            if (count == best.Length && !(score > values[count - 1]))
            {
                continue;
            }

            int at = count < best.Length ? count++ : count - 1;
            for (; at > 0 && score > values[at - 1]; at--)
            {
                values[at] = values[at - 1];
                best[at] = best[at - 1];
            }

            values[at] = score;
            best[at] = i;
        }

        best[count..].Fill(-1);
    }
}
