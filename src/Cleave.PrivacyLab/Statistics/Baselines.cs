using Cleave.Engine;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Statistics;

/// <summary>
/// What may be guessed of a text without its activations. An attack is worth what it adds to these. The bigram and the language model are
/// told the true tokens before each row, which no such guesser would have: they are generous.
/// </summary>
public sealed class Baselines
{
    private readonly int[] _frequent;
    private readonly Dictionary<int, int[]> _after;

    /// <param name="sequences">Text of the attacker's, as tokens.</param>
    public Baselines(IEnumerable<int[]> sequences)
    {
        var unigrams = new Dictionary<int, int>();
        var bigrams = new Dictionary<int, Dictionary<int, int>>();
        foreach (int[] sequence in sequences)
        {
            for (int i = 1; i < sequence.Length; i++)
            {
                unigrams[sequence[i]] = unigrams.GetValueOrDefault(sequence[i]) + 1;
                if (!bigrams.TryGetValue(sequence[i - 1], out Dictionary<int, int>? next))
                {
                    bigrams[sequence[i - 1]] = next = [];
                }

                next[sequence[i]] = next.GetValueOrDefault(sequence[i]) + 1;
            }
        }

        _frequent = Best(unigrams);
        _after = bigrams.ToDictionary(static pair => pair.Key, static pair => Best(pair.Value));
    }

    /// <summary>Share a guess at random gets right.</summary>
    public static double Uniform(int vocabularySize, int ranks) => (double)ranks / vocabularySize;

    /// <summary>The most frequent tokens, for every row.</summary>
    public IReadOnlyList<AttackClaim> Unigram(IReadOnlyList<Transcript> transcripts) => Claims(transcripts, (_, _) => _frequent);

    /// <summary>The tokens that most often follow the true one before.</summary>
    public IReadOnlyList<AttackClaim> Bigram(IReadOnlyList<Transcript> transcripts) => Claims(transcripts, (transcript, row) =>
        transcript.View.Rows[row].Parent is >= 0 and int parent ? _after.GetValueOrDefault(transcript.Tokens[parent], _frequent) : _frequent);

    /// <summary>What a language model expects after the true tokens before.</summary>
    public static IReadOnlyList<AttackClaim> LanguageModel(LanguageModelPrior model, IReadOnlyList<Transcript> transcripts)
    {
        var claims = new List<AttackClaim>(transcripts.Count);
        foreach (Transcript transcript in transcripts)
        {
            WorkerView view = transcript.View;
            var claim = new AttackClaim(view.Rows.Length);
            using LanguageModelPrior.Sequences sequences = model.Start();
            var best = new int[view.Rows.Length * AttackClaim.Ranks];
            foreach (ViewedStep step in view.Steps)
            {
                if (step.Rows == 0)
                {
                    continue;
                }

                var rows = new TreeRow[step.Rows];
                for (int i = 0; i < rows.Length; i++)
                {
                    ViewedRow row = view.Rows[step.FirstRow + i];
                    rows[i] = new TreeRow(row.Id, row.Parent < 0 ? 0 : view.Rows[row.Parent].Id);
                }

                float[] logits = sequences.Append(rows, transcript.Tokens.AsSpan(step.FirstRow, step.Rows));
                for (int i = 0; i < rows.Length; i++)
                {
                    BestFew.Find(
                        logits.AsSpan(i * model.VocabularySize, model.VocabularySize),
                        best.AsSpan((step.FirstRow + i) * AttackClaim.Ranks, AttackClaim.Ranks));
                }
            }

            for (int row = 0; row < view.Rows.Length; row++)
            {
                int parent = view.Rows[row].Parent;
                if (parent >= 0)
                {
                    best.AsSpan(parent * AttackClaim.Ranks, AttackClaim.Ranks).CopyTo(claim.Tokens(row));
                }
            }

            claims.Add(claim);
        }

        return claims;
    }

    private static List<AttackClaim> Claims(IReadOnlyList<Transcript> transcripts, Func<Transcript, int, int[]> guess)
    {
        var claims = new List<AttackClaim>(transcripts.Count);
        foreach (Transcript transcript in transcripts)
        {
            var claim = new AttackClaim(transcript.Tokens.Length);
            for (int row = 0; row < transcript.Tokens.Length; row++)
            {
                int[] tokens = guess(transcript, row);
                tokens.CopyTo(claim.Tokens(row));
            }

            claims.Add(claim);
        }

        return claims;
    }

    private static int[] Best(Dictionary<int, int> counts) =>
        [.. counts.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key).Take(AttackClaim.Ranks).Select(static pair => pair.Key)];
}
