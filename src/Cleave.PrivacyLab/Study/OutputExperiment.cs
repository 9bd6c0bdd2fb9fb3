using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Reading the emitted tokens from the states leaving the worker, with and without the tail's weights.</summary>
public sealed class OutputExperiment : IExperiment
{
    /// <inheritdoc />
    public string Name => "output";

    /// <inheritdoc />
    public string Description => "output side: tail replay, logit lens, tuned lens, ridge and MLP by number of tail layers";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        int budget = Math.Min(bench.VocabularySize, settings.MaxPairs);
        var rows = new List<IReadOnlyList<string>>();
        foreach (int depth in (int[])[2, 4])
        {
            settings.Say($"{Name}: {depth} tail layers");
            var cut = new Cut(2, depth);
            using TrustedModel victim = bench.OpenVictim(cut);
            IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.WithOutput).RunAsync(
                CorpusSet.Balanced(bench.Evaluation, settings.Documents), null, cancellationToken);
            using TailReplay replay = bench.OpenTail(cut);
            using var logitLens = new TunedLens(bench.Product, bench.Source, null, new AdamOptions());
            rows.Add(Row(depth, replay, 0, [RecoveryScore.Of(replay, transcripts)], "100.0 %"));
            rows.Add(Row(depth, logitLens, 0, [RecoveryScore.Of(logitLens, transcripts)], "100.0 %"));
            var scores = new List<(IAttack Attack, int Pairs, RecoveryScore Score, RateInterval? Ceiling)>();
            foreach (int seed in settings.Seeds)
            {
                settings.Say($"{Name}: {depth} tail layers, seed {seed}");
                LabelledPairs pairs = await CollectAsync(bench, settings, victim, seed, budget, cancellationToken);
                using var tunedLens = new TunedLens(
                    bench.Product, bench.Source, pairs, new AdamOptions { Epochs = 2, BatchSize = 128, LearningRate = 1e-3, Seed = seed });
                (IReadOnlyList<int> widths, AdamOptions options) = LearnedInversionExperiment.Network(880, bench.VocabularySize, seed);
                var mlp = new MlpInversion(bench.Trainer, pairs.Take(880), widths, options, BoundarySide.Output);
                var ridge = new RidgeInversion(bench.Product, bench.Embeddings, pairs, BoundarySide.Output);
                scores.Add((tunedLens, pairs.Count, RecoveryScore.Of(tunedLens, transcripts), null));
                scores.Add((ridge, pairs.Count, RecoveryScore.Of(ridge, transcripts), null));
                scores.Add((mlp, 880, RecoveryScore.Of(mlp, transcripts), RecoveryScore.Ceiling(transcripts, BoundarySide.Output, mlp.Covers)));
            }

            foreach (IGrouping<string, (IAttack Attack, int Pairs, RecoveryScore Score, RateInterval? Ceiling)> attack in scores.GroupBy(static s => s.Attack.Name))
            {
                string ceiling = attack.First().Ceiling is null ? "100.0 %" : Cells.Share([.. attack.Select(static s => s.Ceiling!.Value)]);
                rows.Add(Row(depth, attack.First().Attack, attack.First().Pairs, [.. attack.Select(static s => s.Score)], ceiling));
            }
        }

        return new StudyTable(
            Name, "The output side", ["local tail layers", "attack (tier)", "pairs", "top-1", "top-5", "ceiling", "rows"], rows,
            [
                $"Rows are those after which a token was emitted, drafted ones included. Pairs: states leaving the worker for the attacker's own texts, each with the token the model emits there; {settings.Documents} documents; seeds {string.Join(", ", settings.Seeds)}, mean and interval over all of them.",
            ]);
    }

    private static IReadOnlyList<string> Row(int depth, IAttack attack, int pairs, IReadOnlyList<RecoveryScore> scores, string ceiling) =>
    [
        $"{depth}", $"{attack.Name} ({attack.Tier})", $"{pairs}", Cells.Share([.. scores.Select(static s => s.Top1)]),
        Cells.Share([.. scores.Select(static s => s.Top5)]), ceiling, $"{scores[0].Rows}",
    ];

    /// <summary>Pairs of a state leaving the worker and the token emitted there, from the attacker's own texts.</summary>
    internal static async Task<LabelledPairs> CollectAsync(
        LabBench bench, StudySettings settings, TrustedModel victim, int seed, int budget, CancellationToken cancellationToken)
    {
        var activations = new List<float>();
        var tokens = new List<int>();
        foreach (int[] window in bench.AttackerWindows(seed, settings.PromptTokens))
        {
            if (tokens.Count >= budget)
            {
                break;
            }

            int[] sent = bench.Tokenizer.BosId is { } bos ? [bos, .. window] : window;
            ForcedRun run = await TeacherForcing.RunAsync(victim, sent, settings.Wire, null, cancellationToken);
            activations.AddRange(run.View.AllLeaving);
            tokens.AddRange(run.Expected);
        }

        return new LabelledPairs(bench.Source.Config.HiddenSize, [.. activations], [.. tokens]).Take(budget);
    }
}
