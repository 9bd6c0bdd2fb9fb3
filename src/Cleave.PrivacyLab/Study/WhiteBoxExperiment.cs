using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Study;

/// <summary>Exact inversion with public weights, at every depth, with what it costs; also the control of the whole study.</summary>
public sealed class WhiteBoxExperiment : IExperiment
{
    /// <inheritdoc />
    public string Name => "whitebox";

    /// <inheritdoc />
    public string Description => "tier T3: vocabulary matching (prompt, output, drafts) and tail replay by depth and wire, with seconds per token";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach ((Cut cut, WireType wire) in Settings(settings))
        {
            settings.Say($"{Name}: head {cut.Head}, tail {cut.Tail}, {wire}");
            using TrustedModel victim = bench.OpenVictim(cut);
            IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.WithOutput with { Wire = wire }).RunAsync(
                CorpusSet.Balanced(bench.Evaluation, settings.Documents), null, cancellationToken);
            WhiteBoxResult result = Attack(bench, settings, victim, cut, wire, transcripts);
            rows.Add(
            [
                $"{cut.Head}", $"{cut.Tail}", $"{wire}", Cells.Share(result.Prompt.Top1), Cells.Share(result.Prompt.Exact), Cells.Share(result.Drafts.Top1),
                Cells.Share(result.Output.Top1), Cells.Seconds(result.Cost.CpuSecondsPerToken), Cells.Seconds(result.PreparationSeconds), Cells.Number(result.Cost.CandidatesPerToken, 1),
                $"{result.Cost.ByVocabulary + result.Cost.Unmatched} of {result.Cost.Rows}",
            ]);
        }

        return new StudyTable(
            Name, "All weights public: exact inversion at any depth",
            ["head", "tail", "wire", "prompt and output tokens", "documents without an error", "rows of wrong drafts", "emitted tokens (tail replay)", "processor time per token", "once beforehand", "tries per token", "rows that needed the vocabulary"],
            rows,
            [
                "Vocabulary matching, a candidate taken only when its state equals the one seen after the wire, bit for bit; probe proposals from "
                + $"anchors of {Passes(bench, settings)} shuffled vocabularies of the attacker's own making. Processor time is summed over cores, proposals included, so other work on the machine does not lengthen it.",
                "Intervals: documents drawn again (tokens), Wilson (whole documents). An undefended row under 99 % would mean a broken attack.",
            ]);
    }

    /// <summary>Attacks sessions with all weights.</summary>
    internal static WhiteBoxResult Attack(
        LabBench bench, StudySettings settings, TrustedModel headKnown, Cut cut, WireType wire, IReadOnlyList<Transcript> transcripts)
    {
        // Who has the head can label as many states as he likes.
        int passes = Passes(bench, settings);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        LabelledPairs pairs = new PairCollector(headKnown, wire).Collect(
            PairCollector.ShuffledVocabulary(bench.VocabularySize, passes, settings.PromptTokens, 0), passes * bench.VocabularySize, settings.PromptTokens);
        using TailReplay tail = bench.OpenTail(cut);
        using CandidateHead head = bench.OpenHead(cut);
        var probe = new AnchorInversion(bench.Product, pairs);
        double preparation = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        var matching = new VocabularyMatching(
            head, probe, tail, new MatchOptions { FirstToken = bench.Tokenizer.BosId });
        IReadOnlyList<AttackClaim> claims = matching.Recover([.. transcripts.Select(static t => t.View)]);
        return new WhiteBoxResult(
            RecoveryScore.Of(claims, transcripts, BoundarySide.Input, static (t, row) => t.Kinds[row] != RowKind.Draft),
            RecoveryScore.Of(claims, transcripts, BoundarySide.Input, static (t, row) => t.Kinds[row] == RowKind.Draft),
            RecoveryScore.Of(tail, transcripts), matching.Cost!, preparation);
    }

    private static int Passes(LabBench bench, StudySettings settings) => Math.Clamp(settings.MaxPairs / bench.VocabularySize, 2, 8);

    private static IEnumerable<(Cut Cut, WireType Wire)> Settings(StudySettings settings)
    {
        foreach (int depth in settings.Depths)
        {
            yield return (new Cut(depth, settings.Tail), WireType.F32);
        }

        yield return (new Cut(settings.Depths[0], settings.Tail), WireType.F16);
        yield return (new Cut(settings.Depths[0], settings.Tail), WireType.Q8);
        yield return (new Cut(settings.Depths[0], 6), WireType.F32);
    }
}

/// <summary>What knowing all weights recovers.</summary>
/// <param name="Prompt">Prompt and output tokens, from entering states.</param>
/// <param name="Drafts">Guesses that were wrong, from entering states.</param>
/// <param name="Output">Emitted tokens, from leaving states.</param>
/// <param name="Cost">What matching took.</param>
/// <param name="PreparationSeconds">Processor time to make the probe, once for a model and a cut.</param>
internal sealed record WhiteBoxResult(RecoveryScore Prompt, RecoveryScore Drafts, RecoveryScore Output, MatchCost Cost, double PreparationSeconds);
