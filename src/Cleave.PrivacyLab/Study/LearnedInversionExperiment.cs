using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Inversion learned from pairs, without the head's weights, by attack, budget and depth.</summary>
public sealed class LearnedInversionExperiment : IExperiment
{
    private const int Samples = 880;
    private const int MostPairs = 2_400_000;

    /// <inheritdoc />
    public string Name => "learned";

    /// <inheritdoc />
    public string Description => "tier T1: MLP, ridge and anchors by budget and depth, beside baselines without activations";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var rows = new List<IReadOnlyList<string>>();
        int vocabulary = bench.VocabularySize;
        int texts = bench.AttackerTokens.Sum(static tokens => tokens.Length);
        int[] budgets = [.. new[] { Samples, vocabulary, 16 * vocabulary, MostPairs }.Where(budget => budget <= Math.Min(settings.MaxPairs, texts))];
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        IReadOnlyList<Transcript> transcripts = [];
        int[] passes = [.. new[] { 2, 16, MostPairs / vocabulary }.Distinct().Where(passes => passes * vocabulary <= settings.MaxPairs)];
        foreach (int depth in settings.Depths)
        {
            using TrustedModel victim = bench.OpenVictim(new Cut(depth, settings.Tail));
            transcripts = await new Capturer(victim, settings.PromptOnly).RunAsync(documents, null, cancellationToken);
            var collector = new PairCollector(victim, settings.Wire);
            foreach (int budget in budgets)
            {
                var ridge = new List<RecoveryScore>();
                var mlp = new List<RecoveryScore>();
                var ceilings = new List<RateInterval>();
                foreach (int seed in Seeds(settings, budget, vocabulary))
                {
                    settings.Say($"{Name}: {depth} local layers, {budget} pairs, seed {seed}");
                    LabelledPairs pairs = collector.Collect(bench.AttackerWindows(seed, settings.PromptTokens), budget, settings.PromptTokens);
                    ridge.Add(RecoveryScore.Of(new RidgeInversion(bench.Product, bench.Embeddings, pairs), transcripts));
                    if (settings.Networks && TrainsNetwork(settings, budget, vocabulary, depth) && (budget <= Samples || settings.TrainsFast || seed == settings.Seeds[0]))
                    {
                        (IReadOnlyList<int> widths, AdamOptions options) = Network(budget, vocabulary, seed, settings.TrainsFast);
                        settings.Say($"{Name}: {depth} local layers, MLP {string.Join('-', widths)} on {budget} pairs, {options.Epochs} epochs, seed {seed}");
                        var attack = new MlpInversion(bench.Trainer, pairs, widths, options);
                        mlp.Add(RecoveryScore.Of(attack, transcripts));
                        ceilings.Add(RecoveryScore.Ceiling(transcripts, BoundarySide.Input, attack.Covers));
                    }
                }

                rows.Add(Row(depth, "ridge onto the public embedding", budget, ridge, "100.0 %"));
                if (mlp.Count > 0)
                {
                    (IReadOnlyList<int> widths, AdamOptions options) = Network(budget, vocabulary, 1, settings.TrainsFast);
                    rows.Add(Row(depth, $"MLP {string.Join('-', widths)}, {options.Epochs} epochs of batches of {options.BatchSize}", budget, mlp, Cells.Share(ceilings)));
                }
            }

            foreach (int pass in passes)
            {
                var anchors = new List<RecoveryScore>();
                foreach (int seed in Seeds(settings, pass * vocabulary, vocabulary))
                {
                    settings.Say($"{Name}: {depth} local layers, anchors of {pass} shuffled vocabularies, seed {seed}");
                    anchors.Add(RecoveryScore.Of(new AnchorInversion(bench.Product, Shuffled(collector, settings, vocabulary, pass, seed)), transcripts));
                }

                rows.Add(Row(depth, "anchors of a shuffled vocabulary", pass * vocabulary, anchors, "100.0 %"));
            }

            rows.Add(Beam(bench, settings, collector, transcripts, depth));
        }

        rows.AddRange(BaselineRows(bench, settings, transcripts));
        return new StudyTable(
            Name, "Pairs instead of weights: learned inversion of the input",
            ["local layers", "attack", "pairs", "top-1", "top-5", "ceiling"], rows,
            [
                $"{transcripts.Count} documents, {transcripts.Sum(static t => t.InputRows().Count())} rows; seeds {string.Join(", ", settings.Seeds)} (the first alone above {(settings.TrainsFast ? "16|V| pairs" : "2|V| pairs, for the MLP above 880")} and for the beam); "
                + "mean over seeds, interval over all of them (95 %, documents drawn again). Pairs and test documents are disjoint, domains the same.",
                "The baselines know the true tokens before each row, which a guesser without activations would not.",
            ]);
    }

    // On a CPU a large network takes many minutes: the shallowest cut shows what pairs are worth to it, deeper ones are left to the closed forms.
    private static bool TrainsNetwork(StudySettings settings, int budget, int vocabulary, int depth) => settings.TrainsFast || budget <= vocabulary || depth <= 2;

    // Many pairs are many minutes, and leave little to the seed.
    private static IEnumerable<int> Seeds(StudySettings settings, int pairs, int vocabulary) =>
        pairs <= (settings.TrainsFast ? 16 : 2) * vocabulary ? settings.Seeds : settings.Seeds.Take(1);

    /// <summary>The network for a budget: the paper's widths, where a CPU can train them or a GPU does.</summary>
    internal static (IReadOnlyList<int> Widths, AdamOptions Options) Network(int budget, int vocabulary, int seed, bool trainsFast = false) => budget switch
    {
        <= 2000 => ([2048, 2048], new AdamOptions { Epochs = 20, Seed = seed }),
        _ when budget <= vocabulary => ([2048, 2048], new AdamOptions { Epochs = 6, BatchSize = 128, Seed = seed }),
        _ when trainsFast => ([2048, 2048], new AdamOptions { Epochs = budget > 1_000_000 ? 2 : 4, BatchSize = 512, LearningRate = 1e-3, Seed = seed }),
        _ => ([512, 512], new AdamOptions { Epochs = 2, BatchSize = 512, LearningRate = 2e-3, Seed = seed }),
    };

    private static LabelledPairs Shuffled(PairCollector collector, StudySettings settings, int vocabulary, int passes, int seed) => collector.Collect(
        PairCollector.ShuffledVocabulary(vocabulary, passes, settings.PromptTokens, seed), passes * vocabulary, settings.PromptTokens);

    private static IReadOnlyList<string> Row(int depth, string attack, int budget, IReadOnlyList<RecoveryScore> scores, string ceiling) =>
    [
        depth == 0 ? "-" : $"{depth}", attack, $"{budget}", Cells.Share([.. scores.Select(static s => s.Top1)]), Cells.Share([.. scores.Select(static s => s.Top5)]), ceiling,
    ];

    private IReadOnlyList<string> Beam(
        LabBench bench, StudySettings settings, PairCollector collector, IReadOnlyList<Transcript> transcripts, int depth)
    {
        int vocabulary = bench.VocabularySize;
        settings.Say($"{Name}: {depth} local layers, anchors with beam search");
        Transcript[] some = [.. transcripts.Take(settings.BeamDocuments)];
        var attack = new AnchorInversion(bench.Product, Shuffled(collector, settings, vocabulary, 2, settings.Seeds[0]), bench.LanguageModel);
        return Row(depth, $"the same with a language model's beam ({some.Length} documents)", 2 * vocabulary, [RecoveryScore.Of(attack, some)], "100.0 %");
    }

    private static IEnumerable<IReadOnlyList<string>> BaselineRows(LabBench bench, StudySettings settings, IReadOnlyList<Transcript> transcripts)
    {
        var baselines = new Baselines(bench.AttackerTokens);
        yield return ["-", "baseline: uniform", "0", Cells.Share(Baselines.Uniform(bench.VocabularySize, 1)), Cells.Share(Baselines.Uniform(bench.VocabularySize, 5)), "100.0 %"];
        yield return Row(0, "baseline: unigram", 0, [RecoveryScore.Of(baselines.Unigram(transcripts), transcripts, BoundarySide.Input)], "-");
        yield return Row(0, "baseline: bigram", 0, [RecoveryScore.Of(baselines.Bigram(transcripts), transcripts, BoundarySide.Input)], "-");
        settings.Say("learned: language model without activations");
        yield return Row(0, "baseline: the model itself, without activations", 0, [RecoveryScore.Of(Baselines.LanguageModel(bench.LanguageModel, transcripts), transcripts, BoundarySide.Input)], "100.0 %");
    }
}
