using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.Protocol;
using Cleave.Protocol.Codec;

namespace Cleave.PrivacyLab.Study;

/// <summary>
/// The paper's other ways of strengthening (more local layers, an 8-bit wire, a random split point), each against attackers who know of it, with
/// what it costs. Random LoRA has a table of its own.
/// </summary>
public sealed class StrengtheningExperiment : IExperiment
{
    /// <inheritdoc />
    public string Name => "strengthening";

    /// <inheritdoc />
    public string Description => "more local layers, 8- and 16-bit wire, random split point: adaptive attacks, agreement, perplexity, bytes";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        int layers = bench.Source.Config.Layers;
        int tail = settings.Tail;
        Cut[] any = [.. Enumerable.Range(2, 7).Select(head => new Cut(head, tail))];
        (string Name, Cut[] Cuts, WireType Wire)[] measures =
        [
            ($"head 2, tail {tail}, f32", [new Cut(2, tail)], WireType.F32),
            ($"head 4, tail {tail}", [new Cut(4, tail)], WireType.F32),
            ($"head 6, tail {tail}", [new Cut(6, tail)], WireType.F32),
            ($"head 8, tail {tail}", [new Cut(8, tail)], WireType.F32),
            ("head 2, tail 6", [new Cut(2, 6)], WireType.F32),
            ("f16 wire", [new Cut(2, tail)], WireType.F16),
            ("q8 wire", [new Cut(2, tail)], WireType.Q8),
            ("random split point, 2 to 8, for each session", any, WireType.F32),
        ];
        var rows = new List<IReadOnlyList<string>>();
        foreach ((string name, Cut[] cuts, WireType wire) in measures)
        {
            settings.Say($"{Name}: {name}");
            var results = new List<Result>();
            for (int i = 0; i < cuts.Length; i++)
            {
                // A worker is told which layers to run: whoever attacks a random split knows the one he got.
                CorpusDocument[] own = [.. documents.Where((_, at) => at % cuts.Length == i)];
                results.Add(await AttackAsync(bench, settings, cuts[i], wire, own, cancellationToken));
            }

            int rowBytes = ActivationCodec.RowBytes(wire, bench.Source.Config.HiddenSize);
            rows.Add(
            [
                name, Cells.Share(ClusterBootstrap.Rate([.. results.SelectMany(static r => r.WhiteBox)])), OverSeeds(settings, results, static r => r.Anchors),
                OverSeeds(settings, results, static r => r.Ridge), Cells.Share(Utility.Of(results.Select(static r => r.Utility)).Agreement),
                Cells.Number(Utility.Of(results.Select(static r => r.Utility)).Perplexity, 2), $"{2 * rowBytes}",
                Cells.Share(cuts.Average(cut => (double)(cut.Head + cut.Tail) / layers)),
            ]);
        }

        return new StudyTable(
            Name, "More local layers, fewer bits, a random split point",
            ["measure", "all weights known", "anchors, 2 of each token", "ridge, 1|V| pairs", "token agreement", "perplexity", "bytes a row, both ways", "layers computed here"], rows,
            [
                $"Prompt tokens named first; {documents.Count} documents, seeds {string.Join(", ", settings.Seeds)} of the attackers' pairs, which crossed the same cut and wire. Agreement and perplexity by teacher forcing against the same model with f32, the same documents.",
                "Random split point: each session has its own; the worker is told its layers, so the attacker trains one map for each split and uses the one that applies.",
            ]);
    }

    private static async Task<Result> AttackAsync(
        LabBench bench, StudySettings settings, Cut cut, WireType wire, IReadOnlyList<CorpusDocument> documents, CancellationToken cancellationToken)
    {
        int vocabulary = bench.VocabularySize;
        int window = settings.PromptTokens;
        using TrustedModel victim = bench.OpenVictim(cut);
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.PromptOnly with { Wire = wire }).RunAsync(documents, null, cancellationToken);
        var collector = new PairCollector(victim, wire);
        var anchored = new List<DocumentTally[]>();
        var ridged = new List<DocumentTally[]>();
        AnchorInversion? anchors = null;
        foreach (int seed in settings.Seeds)
        {
            LabelledPairs shuffled = collector.Collect(PairCollector.ShuffledVocabulary(vocabulary, 2, window, seed), 2 * vocabulary, window);
            LabelledPairs text = collector.Collect(bench.AttackerWindows(seed, window), Math.Min(vocabulary, settings.MaxPairs), window);
            anchors = new AnchorInversion(bench.Product, shuffled);
            anchored.Add(Tally(anchors, transcripts));
            ridged.Add(Tally(new RidgeInversion(bench.Product, bench.Embeddings, text), transcripts));
        }

        using CandidateHead head = bench.OpenHead(cut);
        using TailReplay tail = bench.OpenTail(cut);
        var matching = new VocabularyMatching(head, anchors!, tail, new MatchOptions { FirstToken = bench.Tokenizer.BosId });
        int[][] texts = [.. documents.Select(d => Capturer.Tokenize(victim, d, window))];
        return new Result(
            Tally(matching, transcripts), anchored, ridged,
            await TeacherForcing.CompareAsync(victim, victim, texts, wire, null, cancellationToken));
    }

    private static string OverSeeds(StudySettings settings, List<Result> results, Func<Result, List<DocumentTally[]>> tallies) => Cells.Share(
        [.. Enumerable.Range(0, settings.Seeds.Count).Select(seed => ClusterBootstrap.Rate([.. results.SelectMany(r => tallies(r)[seed])]))]);

    private static DocumentTally[] Tally(IAttack attack, IReadOnlyList<Transcript> transcripts) =>
        RecoveryScore.Tally(attack.Recover([.. transcripts.Select(static t => t.View)]), transcripts, BoundarySide.Input, 1);

    private sealed record Result(DocumentTally[] WhiteBox, List<DocumentTally[]> Anchors, List<DocumentTally[]> Ridge, Utility Utility);
}
