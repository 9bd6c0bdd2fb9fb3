using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Weights;

namespace Cleave.PrivacyLab.Study;

/// <summary>
/// Random LoRA of local layers (the paper's first way of strengthening, and the stand-in for privately tuned ends), attacked with the public
/// weights alone, then adapted with labels the session gives away: what the public tail reads as emitted is the next row's token.
/// </summary>
public sealed class PrivateEndsExperiment : IExperiment
{
    // Prompt chunks are sent in frames of many rows before anything is emitted; later, smaller frames hold output.
    private const int PromptFrameRows = 24;

    private const int LoraRank = 16;

    /// <inheritdoc />
    public string Name => "private-ends";

    /// <inheritdoc />
    public string Description => "tier T2: random LoRA of local layers against transferred, self-labelled and chosen-text attacks, with utility";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var cut = new Cut(2, settings.Tail);
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        int budget = Math.Min(bench.VocabularySize, settings.MaxPairs);
        ((double Scale, bool BothEnds) Change, int Seed)[] runs = SideBySide.WithSeeds(
            ((double, bool)[])[(0, false), (0.05, false), (0.2, false), (0.5, false), (0.5, true), (1.0, true)], settings.Seeds);
        Result[] results = await SideBySide.RunAsync(
            bench, settings, runs, (own, run) => AttackAsync(own, settings, cut, documents, budget, run.Change, run.Seed, cancellationToken), cancellationToken);
        var rows = new List<IReadOnlyList<string>>();
        foreach (var group in runs.Zip(results, static (run, result) => (run.Change, Result: result)).GroupBy(static of => of.Change))
        {
            Result[] seeds = [.. group.Select(static of => of.Result)];
            string Over(Func<Result, RateInterval> of) => Cells.Share([.. seeds.Select(of)]);
            RateInterval[] adapted = [.. seeds.Where(static r => r.Adapted is not null).Select(static r => r.Adapted!.Value)];
            rows.Add(
            [
                group.Key.Scale == 0 ? "none" : FormattableString.Invariant($"LoRA {group.Key.Scale:F2}, {(group.Key.BothEnds ? "both ends" : "head")}"),
                Over(static r => r.Utility.Agreement), Cells.Number(Cells.Span([.. seeds.Select(static r => r.Utility.Perplexity)]), 1),
                Over(static r => r.Nearest), Over(static r => r.Transferred),
                adapted.Length == 0 ? "-" : $"{Cells.Share(adapted)}, {Cells.Number(seeds.Average(static r => r.OwnPairs), 0)} pairs",
                Over(static r => r.Chosen), Over(static r => r.Output),
            ]);
        }

        return new StudyTable(
            Name, "Random LoRA of local layers, and privately tuned ends",
            ["change", "token agreement", "perplexity", "nearest public state, prompt", "ridge from the public head, prompt", "ridge from self-labelled rows, prompt", $"ridge from {budget} chosen pairs, prompt", "public tail replay, output"],
            rows,
            [
                $"Rank {LoraRank}, size as a share of each matrix's norm; head {cut.Head}, tail {cut.Tail}; {documents.Count} documents; seeds {string.Join(", ", settings.Seeds)} of the change and of the attackers' pairs: mean, interval over all of them (documents drawn again). Prompt columns: share of prompt tokens named first.",
                "Self-labelled: the public tail reads what was emitted, which is the token of the next committed row; a tail changed too spoils the labels by as much as it changes the output.",
                "A random change is not tuning: it costs quality for nothing. It stands in for tuned ends because none are at hand, and flatters the defence.",
            ]);
    }

    private static async Task<Result> AttackAsync(
        LabBench bench, StudySettings settings, Cut cut, IReadOnlyList<CorpusDocument> documents, int budget, (double Scale, bool BothEnds) change, int seed,
        CancellationToken cancellationToken)
    {
        settings.Say($"private-ends: scale {change.Scale}, {(change.BothEnds ? "both ends" : "head")}, seed {seed}");
        int layers = bench.Source.Config.Layers;
        int[] changed = [.. Enumerable.Range(0, cut.Head), .. change.BothEnds ? Enumerable.Range(layers - cut.Tail, cut.Tail) : []];
        using TrustedModel plain = bench.OpenVictim(cut);
        using TrustedModel victim = bench.OpenVictim(
            cut, (source, device) => change.Scale == 0 ? source : WeightChange.RandomLora(source, device, changed, LoraRank, change.Scale, seed));
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.WithOutput).RunAsync(documents, null, cancellationToken);
        int[][] texts = [.. documents.Select(d => Capturer.Tokenize(plain, d, settings.PromptTokens))];
        KeptQuality utility = await TeacherForcing.CompareAsync(plain, victim, texts, settings.Wire, null, cancellationToken);

        // 1. The public head's pairs, applied as they are; and the nearest public state among proposals.
        LabelledPairs transferred = new PairCollector(plain, settings.Wire).Collect(bench.AttackerWindows(seed, settings.PromptTokens), budget, settings.PromptTokens);
        var ridge = new RidgeInversion(bench.Product, bench.Embeddings, transferred);
        using TailReplay tail = bench.OpenTail(cut);
        using CandidateHead head = bench.OpenHead(cut);
        var nearest = new VocabularyMatching(head, ridge, tail, new MatchOptions { Exact = false, FirstToken = bench.Tokenizer.BosId, ProbeSecond = 12, LanguageModel = 8 });

        // 2. Adapted by the session's own labels.
        LabelledPairs own = SelfLabelled(transcripts, tail, bench.Source.Config.HiddenSize);
        IAttack? adapted = own.Count < 100 ? null : new RidgeInversion(bench.Product, bench.Embeddings, own);

        // 3. Pairs chosen by using the service.
        LabelledPairs chosen = new PairCollector(victim, settings.Wire).Collect(bench.AttackerWindows(seed, settings.PromptTokens), budget, settings.PromptTokens);
        var chosenRidge = new RidgeInversion(bench.Product, bench.Embeddings, chosen);
        return new Result(
            utility, Score(nearest, transcripts), Score(ridge, transcripts), adapted is null ? null : Score(adapted, transcripts), own.Count,
            Score(chosenRidge, transcripts), RecoveryScore.Of(tail, transcripts).Top1);
    }

    /// <summary>Rows whose token the attacker knows because the public tail read it out of the row before.</summary>
    internal static LabelledPairs SelfLabelled(IReadOnlyList<Transcript> transcripts, TailReplay tail, int hiddenSize)
    {
        var activations = new List<float>();
        var tokens = new List<int>();
        foreach (WorkerView view in transcripts.Select(static t => t.View))
        {
            AttackClaim emitted = tail.Recover([view])[0];
            int firstDecoding = 0;
            while (firstDecoding < view.Steps.Length && view.Steps[firstDecoding].Rows >= PromptFrameRows)
            {
                firstDecoding++;
            }

            for (int row = 0; row < view.Rows.Length; row++)
            {
                int parent = view.Rows[row].Parent;
                if (view.IsKept(row) && parent >= 0 && view.Rows[parent].Step >= firstDecoding)
                {
                    activations.AddRange(view.Entering(row));
                    tokens.Add(emitted.Tokens(parent)[0]);
                }
            }
        }

        return new LabelledPairs(hiddenSize, [.. activations], [.. tokens]);
    }

    private static RateInterval Score(IAttack attack, IReadOnlyList<Transcript> transcripts) =>
        RecoveryScore.Of(attack, transcripts, static (t, row) => t.Kinds[row] == RowKind.Prompt).Top1;

    private sealed record Result(
        KeptQuality Utility, RateInterval Nearest, RateInterval Transferred, RateInterval? Adapted, int OwnPairs, RateInterval Chosen, RateInterval Output);
}
