using Cleave.Inference.Decoding;

namespace Cleave.Gateway.Generation;

/// <summary>
/// Log probabilities of the tokens chosen and of the most likely ones, from the model's own logits (before penalties, masks and
/// temperature), in output order.
/// </summary>
/// <param name="top">Most likely tokens to keep per token.</param>
/// <param name="vocabularySize">Tokens of the tokenizer; logits past it are padding.</param>
internal sealed class LogProbabilities(int top, int vocabularySize) : ITokenObserver
{
    private readonly Queue<(double LogProbability, TokenProbability[] Top)> _seen = new();

    /// <inheritdoc />
    public void OnToken(int token, ReadOnlySpan<float> logits)
    {
        logits = logits[..Math.Min(logits.Length, vocabularySize)];
        double normalizer = LogSumExp(logits);
        _seen.Enqueue((logits[token] - normalizer, Top(logits, normalizer)));
    }

    /// <summary>The oldest token's, once.</summary>
    public (double LogProbability, TokenProbability[] Top) Take() => _seen.Dequeue();

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        float max = float.NegativeInfinity;
        foreach (float logit in logits)
        {
            max = Math.Max(max, logit);
        }

        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - max);
        }

        return max + Math.Log(sum);
    }

    private TokenProbability[] Top(ReadOnlySpan<float> logits, double normalizer)
    {
        // Insertion into a short sorted array: top is at most 20, and most logits fail the first comparison.
        var best = new TokenProbability[Math.Min(top, logits.Length)];
        int count = 0;
        for (int id = 0; id < logits.Length && best.Length > 0; id++)
        {
            double value = logits[id];
            if (count == best.Length && value <= best[^1].LogProbability)
            {
                continue;
            }

            int at = count < best.Length ? count++ : count - 1;
            while (at > 0 && best[at - 1].LogProbability < value)
            {
                best[at] = best[at - 1];
                at--;
            }

            best[at] = new TokenProbability(id, value);
        }

        for (int i = 0; i < count; i++)
        {
            best[i] = best[i] with { LogProbability = best[i].LogProbability - normalizer };
        }

        return best;
    }
}
