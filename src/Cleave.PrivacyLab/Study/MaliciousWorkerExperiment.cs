using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Weights;

namespace Cleave.PrivacyLab.Study;

/// <summary>A worker that answers with crafted states: it chooses what the victim emits, and learns the victim's private head by it.</summary>
public sealed class MaliciousWorkerExperiment : IExperiment
{
    /// <inheritdoc />
    public string Name => "malicious";

    /// <inheritdoc />
    public string Description => "tier T3m: crafted states steer the output and harvest labels of a privately changed head";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var cut = new Cut(2, settings.Tail);
        int layers = bench.Source.Config.Layers;
        int[] ends = [.. Enumerable.Range(0, cut.Head), .. Enumerable.Range(layers - cut.Tail, cut.Tail)];
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, Math.Min(settings.Documents, 64));
        var crafted = new CraftedStates(bench.Device, bench.Source);
        var rows = new List<IReadOnlyList<string>>();
        foreach (double scale in (double[])[0, 0.5])
        {
            using TrustedModel victim = bench.OpenVictim(
                cut, (source, device) => scale == 0 ? source : WeightChange.RandomLora(source, device, ends, 16, scale, settings.Seeds[0]));
            IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.PromptOnly).RunAsync(documents, null, cancellationToken);
            foreach (int budget in (int[])[500, 2000, 8000])
            {
                settings.Say($"{Name}: LoRA {scale}, {budget} pairs");
                MaliciousWorker attack = await MaliciousWorker.HarvestAsync(
                    victim, crafted, bench.Product, bench.Embeddings, Math.Min(budget, settings.MaxPairs), settings.Wire, settings.Seeds[0], cancellationToken);
                RecoveryScore score = RecoveryScore.Of(attack, transcripts);
                rows.Add(
                [
                    scale == 0 ? "public" : FormattableString.Invariant($"LoRA {scale:F2} at both ends"), $"{attack.Pairs}",
                    Cells.Share(WilsonInterval.Rate(attack.Pairs - attack.WrongLabels, attack.Pairs)), Cells.Share(score.Top1), Cells.Share(score.Top5),
                ]);
            }
        }

        return new StudyTable(
            Name, "A malicious worker",
            ["ends", "steps steered", "emitted what the worker chose", "prompt tokens of other sessions, top-1", "top-5"], rows,
            [
                $"Each steered step costs the victim one wrong token on his screen and gives the worker one labelled pair; ridge on those pairs. {documents.Count} documents; seed {settings.Seeds[0]}. An audit finds the first crafted state.",
            ]);
    }
}
