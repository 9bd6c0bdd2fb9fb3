using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Gaussian noise at the embedding: what it takes from attackers who know its law, and what it takes from the user.</summary>
public sealed class NoiseExperiment : IExperiment
{
    /// <inheritdoc />
    public string Name => "noise";

    /// <inheritdoc />
    public string Description => "embedding noise by epsilon: adaptive attacks, accounting per token and prompt, utility";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var cut = new Cut(2, settings.Tail);
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        double clip = bench.Embeddings.MedianNorm;
        (double Epsilon, int Seed)[] runs = SideBySide.WithSeeds<double>([0, 10_000, 1000, 300, 100, 8], settings.Seeds);
        Result[] results = await SideBySide.RunAsync(
            bench, settings, runs, (own, run) => AttackAsync(own, settings, cut, documents, Options(run.Epsilon, clip), run.Seed, cancellationToken), cancellationToken);
        var rows = new List<IReadOnlyList<string>>();
        foreach (IGrouping<double, (double Epsilon, Result Result)> group in runs.Zip(results, static (run, result) => (run.Epsilon, result)).GroupBy(static of => of.Epsilon))
        {
            Result[] seeds = [.. group.Select(static of => of.Result)];
            EmbeddingNoiseOptions? options = Options(group.Key, clip);
            rows.Add(
            [
                options is null ? "off" : Cells.Number(group.Key, 0), options is null ? "-" : Cells.Number(seeds.Average(static r => r.Composed), 0),
                options is null ? "0" : Cells.Number(options.Sigma / clip, 3), Cells.Share([.. seeds.Select(static r => r.Utility.Agreement)]),
                Cells.Number(Cells.Span([.. seeds.Select(static r => r.Utility.Perplexity)]), 1), Cells.Share([.. seeds.Select(static r => r.Anchors.Top1)]),
                Cells.Share([.. seeds.Select(static r => r.Ridge.Top1)]), Cells.Share([.. seeds.Select(static r => r.Beam.Top1)]),
            ]);
        }

        return new StudyTable(
            Name, "Gaussian noise at the embedding",
            ["epsilon per token", "epsilon per prompt", "sigma / clip norm", "token agreement", "perplexity", "anchors top-1", "ridge top-1", "anchors with beam top-1"], rows,
            [
                FormattableString.Invariant($"delta 1e-6, clip norm {clip:F3} (the median embedding's length), head {cut.Head}; {documents.Count} documents (beam: {results[0].Beam.Documents}), prompts of at most {settings.PromptTokens} tokens;")
                + $" seeds {string.Join(", ", settings.Seeds)} of the attackers' pairs, noise drawn anew for each: mean, interval over all of them (documents drawn again). Epsilon per prompt: all distinct (position, token) rows of a prompt composed, mean over prompts.",
                $"Attacks are adaptive: trained on pairs ({Passes(bench, settings)} shuffled vocabularies; ridge: text) under noise of the same law and other keys. For comparison, the model alone guesses what the learned table gives for it.",
            ]);
    }

    private static async Task<Result> AttackAsync(
        LabBench bench, StudySettings settings, Cut cut, IReadOnlyList<CorpusDocument> documents, EmbeddingNoiseOptions? options, int seed,
        CancellationToken cancellationToken)
    {
        settings.Say($"noise: epsilon {options?.Epsilon ?? 0}, seed {seed}");
        int vocabulary = bench.VocabularySize;
        int passes = Passes(bench, settings);
        using TrustedModel model = bench.OpenVictim(cut);
        var ledgers = new List<EmbeddingNoise>();
        IReadOnlyList<Transcript> transcripts = await new Capturer(model, settings.PromptOnly).RunAsync(documents, _ => Fresh(options, ledgers), cancellationToken);
        int[][] texts = [.. documents.Select(d => Capturer.Tokenize(model, d, settings.PromptTokens))];
        KeptQuality utility = await TeacherForcing.CompareAsync(model, model, texts, settings.Wire, () => Fresh(options, null), cancellationToken);

        // The attacker knows the law: he makes pairs under noise of his own, and weighs them with the language model.
        var collector = new PairCollector(model, settings.Wire, () => Fresh(options, null));
        LabelledPairs shuffled = collector.Collect(
            PairCollector.ShuffledVocabulary(vocabulary, passes, settings.PromptTokens, seed), passes * vocabulary, settings.PromptTokens);
        LabelledPairs text = collector.Collect(
            bench.AttackerWindows(seed, settings.PromptTokens), Math.Min(4 * vocabulary, settings.MaxPairs), settings.PromptTokens);
        Transcript[] some = [.. transcripts.Take(settings.BeamDocuments)];
        return new Result(
            RecoveryScore.Of(new AnchorInversion(bench.Product, shuffled), transcripts),
            RecoveryScore.Of(new RidgeInversion(bench.Product, bench.Embeddings, text), transcripts),
            RecoveryScore.Of(new AnchorInversion(bench.Product, shuffled, bench.LanguageModel), some),
            utility, ledgers.Count == 0 ? 0 : ledgers.Average(static ledger => ledger.EpsilonComposed));
    }

    private static int Passes(LabBench bench, StudySettings settings) => Math.Clamp(settings.MaxPairs / bench.VocabularySize, 1, 4);

    private static EmbeddingNoiseOptions? Options(double epsilon, double clip) =>
        epsilon == 0 ? null : new EmbeddingNoiseOptions { ClipNorm = clip, Epsilon = epsilon };

    private static EmbeddingNoise? Fresh(EmbeddingNoiseOptions? options, List<EmbeddingNoise>? ledgers)
    {
        if (options is null)
        {
            return null;
        }

        var noise = new EmbeddingNoise(options);
        ledgers?.Add(noise);
        return noise;
    }

    private sealed record Result(RecoveryScore Anchors, RecoveryScore Ridge, RecoveryScore Beam, KeptQuality Utility, double Composed);
}
