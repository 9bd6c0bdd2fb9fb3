using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;

namespace Cleave.PrivacyLab.Statistics;

/// <summary>What an attack got right. Only here do claims and truth meet.</summary>
/// <param name="Top1">Rows whose first guess is right; documents are the clusters.</param>
/// <param name="Top5">Rows with the right token among five guesses.</param>
/// <param name="Exact">Documents recovered without an error.</param>
/// <param name="Rows">Rows scored.</param>
/// <param name="Documents">Documents scored.</param>
public sealed record RecoveryScore(RateInterval Top1, RateInterval Top5, RateInterval Exact, int Rows, int Documents)
{
    /// <summary>Scores the side the attack reads; <paramref name="counts"/> restricts rows (transcript, row).</summary>
    public static RecoveryScore Of(IAttack attack, IReadOnlyList<Transcript> transcripts, Func<Transcript, int, bool>? counts = null) =>
        Of(attack.Recover([.. transcripts.Select(static t => t.View)]), transcripts, attack.Side, counts);

    /// <summary>Scores claims already made.</summary>
    public static RecoveryScore Of(
        IReadOnlyList<AttackClaim> claims, IReadOnlyList<Transcript> transcripts, BoundarySide side, Func<Transcript, int, bool>? counts = null)
    {
        DocumentTally[] first = Tally(claims, transcripts, side, 1, counts);
        DocumentTally[] five = Tally(claims, transcripts, side, AttackClaim.Ranks, counts);
        DocumentTally[] scored = [.. first.Where(static d => d.Total > 0)];
        return new RecoveryScore(
            ClusterBootstrap.Rate(first), ClusterBootstrap.Rate(five),
            WilsonInterval.Rate(scored.Count(static d => d.Hits == d.Total), scored.Length),
            first.Sum(static d => d.Total), scored.Length);
    }

    /// <summary>Right rows by document, when one of the first <paramref name="ranks"/> guesses may be right.</summary>
    public static DocumentTally[] Tally(
        IReadOnlyList<AttackClaim> claims, IReadOnlyList<Transcript> transcripts, BoundarySide side, int ranks, Func<Transcript, int, bool>? counts = null)
    {
        var tallies = new DocumentTally[transcripts.Count];
        for (int document = 0; document < tallies.Length; document++)
        {
            Transcript transcript = transcripts[document];
            (IEnumerable<int> rows, int[] truth) = side == BoundarySide.Input
                ? (transcript.InputRows(), transcript.Tokens)
                : (transcript.OutputRows(), transcript.Emitted);
            int hits = 0;
            int total = 0;
            foreach (int row in rows)
            {
                if (counts?.Invoke(transcript, row) ?? true)
                {
                    total++;
                    hits += claims[document].Tokens(row)[..ranks].Contains(truth[row]) ? 1 : 0;
                }
            }

            tallies[document] = new DocumentTally(hits, total);
        }

        return tallies;
    }

    /// <summary>The share of rows whose token <paramref name="covers"/>: what an attack that knows only those tokens can reach at most.</summary>
    public static RateInterval Ceiling(IReadOnlyList<Transcript> transcripts, BoundarySide side, Func<int, bool> covers) => ClusterBootstrap.Rate(
    [
        .. transcripts.Select(transcript =>
        {
            int[] tokens = side == BoundarySide.Input
                ? [.. transcript.InputRows().Select(row => transcript.Tokens[row])]
                : [.. transcript.OutputRows().Select(row => transcript.Emitted[row])];
            return new DocumentTally(tokens.Count(covers), tokens.Length);
        }),
    ]);
}
