using System.Numerics;
using System.Runtime.InteropServices;
using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>
/// The likeliest tokens after one row of a draft model, as claims about what the target's sampler will pick. Greedy: the
/// target's argmax is sharper than the draft's distribution, so logits are divided by <see cref="GreedyScale"/>. Sampled: the
/// target adds noise that is a function of seed, position and token, so the draft adds the same noise; what remains uncertain
/// is the difference of the two models' logits, which <see cref="SampledScale"/> stands for. Both constants are measured on the
/// bundled pair (docs/decisions) and corrected online by <see cref="AcceptanceModel"/>.
/// </summary>
internal sealed class CandidateRow
{
    private const double GreedyScale = 0.68;
    private const double SampledScale = 1.1;

    /// <summary>Candidates further below the best, in units of the scale, are not worth a look (e^-8).</summary>
    private const double Depth = 8;

    private readonly List<(int Token, double Score)> _candidates = [];

    /// <summary>Tokens and claims, likeliest first.</summary>
    public List<(int Token, double Claim)> Claims { get; } = [];

    /// <summary>Fills <see cref="Claims"/> from one row of logits, dropping those under <paramref name="floor"/>.</summary>
    public void Read(ReadOnlySpan<float> logits, SamplingOptions sampling, TokenHistory history, int position, double floor)
    {
        // 1. Tokens near the top.
        double temperature = sampling.IsGreedy ? 1 : sampling.Temperature;
        double scale = sampling.IsGreedy ? GreedyScale : SampledScale;
        float max = Max(logits);
        double reach = sampling.IsGreedy ? Depth * scale : Depth;
        double penalty = sampling.HasPenalties ? 2 : 0;
        Collect(logits, (float)(max - ((reach + penalty) * temperature)));

        // 2. What the sampler does to them.
        if (sampling.HasPenalties)
        {
            Penalise(sampling, history);
        }

        if (!sampling.IsGreedy)
        {
            Filter(sampling);
            Span<(int Token, double Score)> drawn = CollectionsMarshal.AsSpan(_candidates);
            for (int i = 0; i < drawn.Length; i++)
            {
                drawn[i].Score = (drawn[i].Score / temperature) + GumbelNoise.At(sampling.Seed, sampling.Choice, position, drawn[i].Token);
            }
        }

        // 3. Softmax at the scale of what is not known.
        _candidates.Sort((a, b) => b.Score.CompareTo(a.Score));
        double top = _candidates[0].Score;
        double total = 0;
        foreach ((_, double score) in _candidates)
        {
            total += Math.Exp((score - top) / scale);
        }

        Claims.Clear();
        foreach ((int token, double score) in _candidates)
        {
            double claim = Math.Exp((score - top) / scale) / total;
            if (claim < floor)
            {
                break;
            }

            Claims.Add((token, claim));
        }
    }

    private static float Max(ReadOnlySpan<float> values)
    {
        var best = new Vector<float>(float.NegativeInfinity);
        int i = 0;
        for (; i + Vector<float>.Count <= values.Length; i += Vector<float>.Count)
        {
            best = Vector.Max(best, new Vector<float>(values[i..]));
        }

        float max = float.NegativeInfinity;
        for (int lane = 0; lane < Vector<float>.Count; lane++)
        {
            max = Math.Max(max, best[lane]);
        }

        for (; i < values.Length; i++)
        {
            max = Math.Max(max, values[i]);
        }

        return max;
    }

    private void Collect(ReadOnlySpan<float> logits, float least)
    {
        _candidates.Clear();
        var bound = new Vector<float>(least);
        int i = 0;
        for (; i + Vector<float>.Count <= logits.Length; i += Vector<float>.Count)
        {
            if (Vector.GreaterThanOrEqualAny(new Vector<float>(logits[i..]), bound))
            {
                CollectPlain(logits, i, i + Vector<float>.Count, least);
            }
        }

        CollectPlain(logits, i, logits.Length, least);
    }

    private void CollectPlain(ReadOnlySpan<float> logits, int start, int end, float least)
    {
        for (int i = start; i < end; i++)
        {
            if (logits[i] >= least)
            {
                _candidates.Add((i, logits[i]));
            }
        }
    }

    /// <summary>The sampler's penalties, on the certain tokens only: those of the draft's own path change little.</summary>
    private void Penalise(SamplingOptions sampling, TokenHistory history)
    {
        Span<(int Token, double Score)> candidates = CollectionsMarshal.AsSpan(_candidates);
        for (int i = 0; i < candidates.Length; i++)
        {
            ref double score = ref candidates[i].Score;
            if (sampling.RepetitionPenalty != 1 && history.Seen.Contains(candidates[i].Token))
            {
                score = score > 0 ? score / sampling.RepetitionPenalty : score * sampling.RepetitionPenalty;
            }

            if (history.OutputCounts.TryGetValue(candidates[i].Token, out int occurrences))
            {
                score -= (occurrences * sampling.FrequencyPenalty) + sampling.PresencePenalty;
            }
        }
    }

    /// <summary>The sampler's filters, a little wider: the target's border is elsewhere.</summary>
    private void Filter(SamplingOptions sampling)
    {
        _candidates.Sort((a, b) => b.Score.CompareTo(a.Score));
        double top = _candidates[0].Score;
        double total = 0;
        foreach ((_, double score) in _candidates)
        {
            total += Math.Exp((score - top) / sampling.Temperature);
        }

        double topP = sampling.TopP + (0.5 * (1 - sampling.TopP));
        double minP = 0.5 * sampling.MinP;
        int limit = sampling.TopK > 0 ? sampling.TopK + 2 : int.MaxValue;
        double mass = 0;
        int kept = 0;
        while (kept < _candidates.Count && kept < limit && (kept == 0 || mass < topP * total))
        {
            double share = Math.Exp((_candidates[kept].Score - top) / sampling.Temperature);
            if (share < minP)
            {
                break;
            }

            mass += share;
            kept++;
        }

        _candidates.RemoveRange(kept, _candidates.Count - kept);
    }
}
