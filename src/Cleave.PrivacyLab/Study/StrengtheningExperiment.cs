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
    public string Description => "more local layers, 8-bit wire, random split point: adaptive attacks, agreement, perplexity, bytes";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        int layers = bench.Source.Config.Layers;
        int tail = settings.Tail;
        var rows = new List<IReadOnlyList<string>>();
        void Add(string name, WireType wire, Result result, double local) => rows.Add(
        [
            name, Cells.Share(ClusterBootstrap.Rate(result.WhiteBox)), OverSeeds(result.Anchors), OverSeeds(result.Ridge), Cells.Share(result.Utility.Agreement),
            Cells.Number(result.Utility.Perplexity, 2), $"{2 * ActivationCodec.RowBytes(wire, bench.Source.Config.HiddenSize)}", Cells.Share(local),
        ]);

        (Cut Cut, WireType Wire)[] splits = [.. settings.Depths.Select(depth => (new Cut(depth, tail), WireType.F32)), (new Cut(2, tail), WireType.Q8)];
        Result[] results = await SideBySide.RunAsync(
            bench, settings, splits, (own, split) => AttackAsync(own, settings, split.Cut, split.Wire, documents, cancellationToken), cancellationToken);
        Result[] byDepth = results[..^1];
        foreach ((int depth, Result result) in settings.Depths.Zip(byDepth))
        {
            Add($"head {depth}, tail {tail}, f32", WireType.F32, result, (double)(depth + tail) / layers);
        }

        // A worker is told which layers to run: whoever attacks a random split knows the one he got, and uses the attack for that one.
        var draw = new Random(settings.Seeds[0]);
        Result[] drawn = [.. documents.Select(_ => byDepth[draw.Next(byDepth.Length)])];
        T[] Drawn<T>(Func<Result, IReadOnlyList<T>> of) => [.. drawn.Select((result, i) => of(result)[i])];
        var random = new Result(
            Drawn(static r => r.WhiteBox), [.. settings.Seeds.Select((_, seed) => Drawn(r => r.Anchors[seed]))], [.. settings.Seeds.Select((_, seed) => Drawn(r => r.Ridge[seed]))],
            new KeptQuality(Drawn(static r => r.Utility.Agreed), Drawn(static r => r.Utility.Losses)));
        Add($"random split point for each session ({string.Join(", ", settings.Depths)})", WireType.F32, random, (settings.Depths.Average() + tail) / layers);

        Add("head 2, q8 wire", WireType.Q8, results[^1], (2.0 + tail) / layers);
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
        settings.Say($"strengthening: head {cut.Head}, {wire} wire");
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

    private static string OverSeeds(List<DocumentTally[]> seeds) => Cells.Share([.. seeds.Select(static tallies => ClusterBootstrap.Rate(tallies))]);

    private static DocumentTally[] Tally(IAttack attack, IReadOnlyList<Transcript> transcripts) =>
        RecoveryScore.Tally(attack.Recover([.. transcripts.Select(static t => t.View)]), transcripts, BoundarySide.Input, 1);

    private sealed record Result(DocumentTally[] WhiteBox, List<DocumentTally[]> Anchors, List<DocumentTally[]> Ridge, KeptQuality Utility);
}
