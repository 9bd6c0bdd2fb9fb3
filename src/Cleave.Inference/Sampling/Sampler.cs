namespace Cleave.Inference.Sampling;

/// <summary>
/// Chooses the token after a row: a pure function of the row's logits, the tokens on its path and its position, so a
/// drafted token is accepted exactly when it equals the choice. Order: ids outside the tokenizer, mask, penalties,
/// temperature, top-k, top-p, min-p, Gumbel noise, argmax; ties take the lowest id. One sampler serves one generation.
/// </summary>
public sealed partial class Sampler
{
    private readonly int _vocabularySize;
    private float[] _work = [];
    private int[] _heap = [];

    /// <param name="options">Already validated.</param>
    /// <param name="vocabularySize">Tokens of the tokenizer; ids past it (padded models) are never chosen.</param>
    public Sampler(SamplingOptions options, int vocabularySize)
    {
        Options = options;
        _vocabularySize = vocabularySize;
    }

    /// <summary>What was asked for.</summary>
    public SamplingOptions Options { get; }

    /// <summary>
    /// The token that follows a row. logits: [vocabulary]. <paramref name="position"/> is that of the token chosen.
    /// </summary>
    public int Choose(ReadOnlySpan<float> logits, TokenHistory history, int position, ITokenMask? mask = null)
    {
        int count = Math.Min(logits.Length, _vocabularySize);
        if (mask is not null || Options.HasPenalties)
        {
            if (_work.Length < count)
            {
                _work = new float[count];
            }

            Span<float> adjusted = _work.AsSpan(0, count);
            logits[..count].CopyTo(adjusted);
            mask?.Apply(adjusted);
            ApplyPenalties(adjusted, history);
            logits = adjusted;
        }
        else
        {
            logits = logits[..count];
        }

        if (Options.IsGreedy)
        {
            return ArgMax(logits);
        }

        if (Options.TopK > 0 || Options.TopP < 1)
        {
            return ChooseAmongTop(logits, position);
        }

        return ChooseByThreshold(logits, position);
    }

    /// <summary>Index of the largest value, the lowest when several are equal.</summary>
    public static int ArgMax(ReadOnlySpan<float> logits)
    {
        // IndexOfMax returns the first maximum; NaN is refused earlier, on arrival of the row.
        int best = 0;
        float value = logits[0];
        for (int i = 1; i < logits.Length; i++)
        {
            if (logits[i] > value)
            {
                value = logits[i];
                best = i;
            }
        }

        return best;
    }

    /// <summary>Penalties on tokens of the path, in place.</summary>
    internal void ApplyPenalties(Span<float> logits, TokenHistory history)
    {
        if (Options.RepetitionPenalty != 1)
        {
            foreach (int token in history.Seen)
            {
                if ((uint)token < (uint)logits.Length)
                {
                    logits[token] = Repeated(logits[token]);
                }
            }
        }

        if (Options.FrequencyPenalty != 0 || Options.PresencePenalty != 0)
        {
            foreach ((int token, int occurrences) in history.OutputCounts)
            {
                if ((uint)token < (uint)logits.Length)
                {
                    logits[token] -= Occurred(occurrences);
                }
            }
        }
    }

    private float Repeated(float logit) => (float)(logit > 0 ? logit / Options.RepetitionPenalty : logit * Options.RepetitionPenalty);

    private float Occurred(int occurrences) => (float)((occurrences * Options.FrequencyPenalty) + Options.PresencePenalty);

    /// <summary>No top-k or top-p: one pass over all tokens at or above the min-p threshold.</summary>
    private int ChooseByThreshold(ReadOnlySpan<float> logits, int position)
    {
        int top = ArgMax(logits);
        double floor = Options.MinP > 0 ? logits[top] + (Options.Temperature * Math.Log(Options.MinP)) : double.NegativeInfinity;
        int best = top;
        double bestScore = Score(logits[top], position, top);
        for (int token = 0; token < logits.Length; token++)
        {
            double logit = logits[token];
            if (token == top || logit < floor || (logit / Options.Temperature) + GumbelNoise.Maximum < bestScore || double.IsNegativeInfinity(logit))
            {
                continue;
            }

            Consider(token, Score(logit, position, token), ref best, ref bestScore);
        }

        return best;
    }

    /// <summary>Pops tokens in descending order (ties: lowest id first) until top-k, top-p and min-p are met.</summary>
    private int ChooseAmongTop(ReadOnlySpan<float> logits, int position)
    {
        int count = logits.Length;
        if (_heap.Length < count)
        {
            _heap = new int[count];
        }

        Span<int> heap = _heap.AsSpan(0, count);
        for (int i = 0; i < count; i++)
        {
            heap[i] = i;
        }

        for (int i = (count / 2) - 1; i >= 0; i--)
        {
            SiftDown(heap, count, i, logits);
        }

        double top = logits[heap[0]];
        int limit = Options.TopK > 0 ? Math.Min(Options.TopK, count) : count;
        double total = Options.TopP < 1 ? Mass(logits, top, limit, heap) : 0;
        double floor = Options.MinP > 0 ? top + (Options.Temperature * Math.Log(Options.MinP)) : double.NegativeInfinity;
        int best = -1;
        double bestScore = double.NegativeInfinity;
        double mass = 0;
        for (int taken = 0; taken < limit; taken++)
        {
            int token = heap[0];
            double logit = logits[token];
            if (best >= 0 && (logit < floor || double.IsNegativeInfinity(logit) || (Options.TopP < 1 && mass >= Options.TopP * total)))
            {
                break;
            }

            mass += Math.Exp((logit - top) / Options.Temperature);
            double score = Score(logit, position, token);
            if (best < 0)
            {
                (best, bestScore) = (token, score);
            }
            else
            {
                Consider(token, score, ref best, ref bestScore);
            }

            heap[0] = heap[--count];
            SiftDown(heap, count, 0, logits);
        }

        return best;
    }

    /// <summary>Softmax mass (relative to the top) of the tokens that top-k leaves; the heap is left as it was.</summary>
    private double Mass(ReadOnlySpan<float> logits, double top, int limit, ReadOnlySpan<int> heap)
    {
        double total = 0;
        if (limit == logits.Length)
        {
            foreach (float logit in logits)
            {
                total += Math.Exp((logit - top) / Options.Temperature);
            }

            return total;
        }

        int[] copy = heap.ToArray();
        int count = copy.Length;
        for (int taken = 0; taken < limit; taken++)
        {
            total += Math.Exp((logits[copy[0]] - top) / Options.Temperature);
            copy[0] = copy[--count];
            SiftDown(copy, count, 0, logits);
        }

        return total;
    }

    private double Score(double logit, int position, int token) =>
        (logit / Options.Temperature) + GumbelNoise.At(Options.Seed, Options.Choice, position, token);

    private static void Consider(int token, double score, ref int best, ref double bestScore)
    {
        if (score > bestScore || (score == bestScore && token < best))
        {
            (best, bestScore) = (token, score);
        }
    }

    private static void SiftDown(Span<int> heap, int count, int at, ReadOnlySpan<float> logits)
    {
        while (true)
        {
            int child = (2 * at) + 1;
            if (child >= count)
            {
                return;
            }

            if (child + 1 < count && Precedes(heap[child + 1], heap[child], logits))
            {
                child++;
            }

            if (!Precedes(heap[child], heap[at], logits))
            {
                return;
            }

            (heap[at], heap[child]) = (heap[child], heap[at]);
            at = child;
        }
    }

    private static bool Precedes(int a, int b, ReadOnlySpan<float> logits) =>
        logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}
