using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>The paper's table: a perceptron on 880 pairs against 2, 4, 6 and 8 local layers, beside what 880 pairs can reach at all.</summary>
public sealed class PaperDepthExperiment : IExperiment
{
    private const int Samples = 880;

    private static readonly Dictionary<int, string> Reported = new() { [2] = "58.8 %", [4] = "44.3 %", [6] = "44.8 %", [8] = "34.8 %" };

    /// <inheritdoc />
    public string Name => "paper";

    /// <inheritdoc />
    public string Description => "the paper's depth table: an MLP on 880 pairs, with its coverage ceiling";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var rows = new List<IReadOnlyList<string>>();
        int documents = 0;
        int positions = 0;
        foreach (int depth in settings.Depths)
        {
            settings.Say($"{Name}: {depth} local layers");
            using TrustedModel victim = bench.OpenVictim(new Cut(depth, settings.Tail));
            IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.PromptOnly).RunAsync(
                CorpusSet.Balanced(bench.Evaluation, settings.Documents), null, cancellationToken);
            var scores = new List<(RecoveryScore Score, RateInterval Ceiling, RateInterval WhenNameable)>();
            foreach (int seed in settings.Seeds)
            {
                LabelledPairs pairs = new PairCollector(victim, settings.Wire).Collect(
                    bench.AttackerWindows(seed, settings.PromptTokens), Samples, settings.PromptTokens);
                var attack = new MlpInversion(bench.Trainer, pairs, [2048, 2048], new AdamOptions { Epochs = 20, Seed = seed });
                RecoveryScore score = RecoveryScore.Of(attack, transcripts);
                RecoveryScore nameable = RecoveryScore.Of(attack, transcripts, (transcript, row) => attack.Covers(transcript.Tokens[row]));
                scores.Add((score, RecoveryScore.Ceiling(transcripts, BoundarySide.Input, attack.Covers), nameable.Top1));
                (documents, positions) = (score.Documents, score.Rows);
            }

            rows.Add(
            [
                $"{depth}", Reported.GetValueOrDefault(depth, ""), Cells.Share([.. scores.Select(static s => s.Score.Top1)]),
                Cells.Share([.. scores.Select(static s => s.Score.Top5)]), Cells.Share([.. scores.Select(static s => s.Ceiling)]),
                Cells.Share([.. scores.Select(static s => s.WhenNameable)]),
            ]);
        }

        int width = bench.Source.Config.HiddenSize;
        return new StudyTable(
            Name, $"The paper's attack: an MLP on {Samples} pairs",
            ["local layers (head)", "paper, 7B, top-1", "top-1", "top-5", "ceiling", "top-1 of nameable tokens"], rows,
            [
                $"MLP {width}-2048-2048-V', V' the tokens among its pairs, AdamW, 20 epochs; {documents} documents, {positions} rows; seeds {string.Join(", ", settings.Seeds)}: "
                + "mean over seeds, interval over all of them (95 %, documents drawn again).",
                "The ceiling is the share of test tokens that occur among the pairs. An attack close to its ceiling is limited by its pairs, not by the depth.",
            ]);
    }
}
