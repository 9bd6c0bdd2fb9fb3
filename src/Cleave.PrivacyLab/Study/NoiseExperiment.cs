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
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, Math.Min(settings.Documents, 64));
        double clip = bench.Embeddings.MedianNorm;
        int vocabulary = bench.VocabularySize;
        int passes = Math.Clamp(settings.MaxPairs / vocabulary, 1, 4);
        var rows = new List<IReadOnlyList<string>>();
        using TrustedModel model = bench.OpenVictim(cut);
        int[][] texts = [.. documents.Take(16).Select(d => Capturer.Tokenize(model, d, settings.PromptTokens))];
        foreach (double epsilon in (double[])[0, 10_000, 1000, 300, 100, 8])
        {
            settings.Say($"{Name}: epsilon {epsilon}");
            EmbeddingNoiseOptions? options = epsilon == 0 ? null : new EmbeddingNoiseOptions { ClipNorm = clip, Epsilon = epsilon };
            var ledgers = new List<EmbeddingNoise>();
            IReadOnlyList<Transcript> transcripts = await new Capturer(model, settings.PromptOnly).RunAsync(
                documents, _ => Fresh(options, ledgers), cancellationToken);
            KeptQuality utility = await TeacherForcing.CompareAsync(model, model, texts, settings.Wire, () => Fresh(options, null), cancellationToken);

            // The attacker knows the law: he makes pairs under noise of his own, and weighs them with the language model.
            var collector = new PairCollector(model, settings.Wire, () => Fresh(options, null));
            LabelledPairs shuffled = collector.Collect(
                PairCollector.ShuffledVocabulary(vocabulary, passes, settings.PromptTokens, settings.Seeds[0]), passes * vocabulary, settings.PromptTokens);
            LabelledPairs text = collector.Collect(
                bench.AttackerWindows(settings.Seeds[0], settings.PromptTokens), Math.Min(4 * vocabulary, settings.MaxPairs), settings.PromptTokens);
            RecoveryScore anchors = RecoveryScore.Of(new AnchorInversion(bench.Product, shuffled), transcripts);
            RecoveryScore ridge = RecoveryScore.Of(new RidgeInversion(bench.Product, bench.Embeddings, text), transcripts);
            Transcript[] some = [.. transcripts.Take(16)];
            RecoveryScore beam = RecoveryScore.Of(new AnchorInversion(bench.Product, shuffled, bench.LanguageModel), some);
            double composed = ledgers.Count == 0 ? 0 : ledgers.Average(static ledger => ledger.EpsilonComposed);
            rows.Add(
            [
                options is null ? "off" : Cells.Number(epsilon, 0), options is null ? "-" : Cells.Number(composed, 0),
                options is null ? "0" : Cells.Number(options.Sigma / clip, 3), Cells.Share(utility.Agreement), Cells.Number(utility.Perplexity, 1),
                Cells.Share(anchors.Top1), Cells.Share(ridge.Top1), Cells.Share(beam.Top1),
            ]);
        }

        return new StudyTable(
            Name, "Gaussian noise at the embedding",
            ["epsilon per token", "epsilon per prompt", "sigma / clip norm", "token agreement", "perplexity", "anchors top-1", "ridge top-1", "anchors with beam top-1"], rows,
            [
                FormattableString.Invariant($"delta 1e-6, clip norm {clip:F3} (the median embedding's length), head {cut.Head}; {documents.Count} documents (beam and utility: 16), prompts of at most {settings.PromptTokens} tokens; seed {settings.Seeds[0]}.")
                + " Epsilon per prompt: all distinct (position, token) rows of a prompt composed, mean over prompts.",
                $"Attacks are adaptive: trained on pairs ({passes} shuffled vocabularies; ridge: text) under noise of the same law and other keys. For comparison, the model alone guesses what the learned table gives for it.",
            ]);
    }

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
}
