namespace Cleave.PrivacyLab.Learning;

/// <summary>Scores to probabilities.</summary>
internal static class Softmax
{
    /// <summary>In place.</summary>
    public static void Apply(Span<float> scores)
    {
        float max = float.NegativeInfinity;
        foreach (float score in scores)
        {
            max = Math.Max(max, score);
        }

        float sum = 0;
        foreach (ref float score in scores)
        {
            score = MathF.Exp(score - max);
            sum += score;
        }

        float scale = 1 / sum;
        foreach (ref float score in scores)
        {
            score *= scale;
        }
    }

    /// <summary>log of the sum of exponentials.</summary>
    public static double LogSum(ReadOnlySpan<float> scores)
    {
        float max = float.NegativeInfinity;
        foreach (float score in scores)
        {
            max = Math.Max(max, score);
        }

        double sum = 0;
        foreach (float score in scores)
        {
            sum += Math.Exp(score - max);
        }

        return max + Math.Log(sum);
    }
}
