using Cleave.Engine;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// The likeliest token path through a session, when each row has a few candidates with a log-likelihood of its state and a language model
/// has a log-probability for each next token. Follows the session's main path; rows off it (wrong drafts) keep their own best candidate.
/// </summary>
/// <param name="languageModel">The prior.</param>
/// <param name="width">Hypotheses kept.</param>
internal sealed class BeamSearch(LanguageModelPrior languageModel, int width)
{
    /// <summary>Candidates weighed for each row.</summary>
    public const int Candidates = 24;

    // Hypotheses share what they agree on; committing it now and then keeps the cache small.
    private sealed record Hypothesis(ulong Id, double Score, int[] Tokens, ulong[] Ids, int LogitsRow);

    public AttackClaim Run(WorkerView view, int[] candidates, float[] scores)
    {
        var claim = new AttackClaim(view.Rows.Length);
        for (int row = 0; row < view.Rows.Length; row++)
        {
            candidates.AsSpan(row * Candidates, AttackClaim.Ranks).CopyTo(claim.Tokens(row));
        }

        // 1. The main path: the longest chain, which holds the prompt and whatever was committed.
        List<int> path = MainPath(view);
        if (path.Count < 2)
        {
            return claim;
        }

        // 2. The first row (BOS) has no prior; its best candidate starts every hypothesis.
        using LanguageModelPrior.Sequences sequences = languageModel.Start();
        ulong nextId = 1;
        int start = candidates[path[0] * Candidates];
        float[] logits = sequences.Append([new TreeRow(nextId, 0)], [start]);
        var beam = new List<Hypothesis> { new(nextId++, 0, [start], [1], 0) };
        int vocabulary = languageModel.VocabularySize;

        // 3. Extend, keep the best, run them.
        for (int at = 1; at < path.Count; at++)
        {
            int row = path[at];
            var extended = new List<(Hypothesis From, int Token, double Score)>();
            var logSums = new double[beam.Count];
            Parallel.For(0, beam.Count, i => logSums[i] = Softmax.LogSum(logits.AsSpan(beam[i].LogitsRow * vocabulary, vocabulary)));
            foreach ((int index, Hypothesis hypothesis) in beam.Index())
            {
                ReadOnlySpan<float> after = logits.AsSpan(hypothesis.LogitsRow * vocabulary, vocabulary);
                double logSum = logSums[index];
                for (int rank = 0; rank < Candidates; rank++)
                {
                    int token = candidates[(row * Candidates) + rank];
                    if (token >= 0)
                    {
                        extended.Add((hypothesis, token, hypothesis.Score + scores[(row * Candidates) + rank] + after[token] - logSum));
                    }
                }
            }

            (Hypothesis From, int Token, double Score)[] best = [.. extended.OrderByDescending(static e => e.Score).Take(width)];
            var rows = new TreeRow[best.Length];
            var tokens = new int[best.Length];
            var next = new List<Hypothesis>(best.Length);
            for (int i = 0; i < best.Length; i++)
            {
                (Hypothesis from, int token, double score) = best[i];
                rows[i] = new TreeRow(nextId, from.Id);
                tokens[i] = token;
                next.Add(new Hypothesis(nextId, score, [.. from.Tokens, token], [.. from.Ids, nextId], i));
                nextId++;
            }

            logits = sequences.Append(rows, tokens);
            beam = next;
        }

        for (int at = 0; at < path.Count; at++)
        {
            Promote(claim.Tokens(path[at]), beam[0].Tokens[at]);
        }

        return claim;
    }

    private static List<int> MainPath(WorkerView view)
    {
        int deepest = 0;
        for (int row = 0; row < view.Rows.Length; row++)
        {
            bool better = view.Rows[row].Position > view.Rows[deepest].Position;
            bool surer = view.Rows[row].Position == view.Rows[deepest].Position && view.IsKept(row) && !view.IsKept(deepest);
            deepest = better || surer ? row : deepest;
        }

        var path = new List<int>();
        for (int row = deepest; row >= 0; row = view.Rows[row].Parent)
        {
            path.Add(row);
        }

        path.Reverse();
        return path;
    }

    private static void Promote(Span<int> ranked, int token)
    {
        int at = ranked.IndexOf(token);
        at = at < 0 ? ranked.Length - 1 : at;
        ranked[..at].CopyTo(ranked[1..]);
        ranked[0] = token;
    }
}
