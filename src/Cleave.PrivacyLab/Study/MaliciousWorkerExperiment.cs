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
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, settings.Documents);
        (double Scale, int Seed)[] runs = SideBySide.WithSeeds<double>([0, 0.5], settings.Seeds);
        Result[][] results = await SideBySide.RunAsync(
            bench, settings, runs, (own, run) => AttackAsync(own, settings, cut, documents, run.Scale, run.Seed, cancellationToken), cancellationToken);
        var rows = new List<IReadOnlyList<string>>();
        foreach (var group in runs.Zip(results, static (run, result) => (run.Scale, Results: result)).GroupBy(static of => of.Scale))
        {
            foreach (Result[] seeds in group.SelectMany(static of => of.Results).GroupBy(static r => r.Pairs).Select(static of => of.ToArray()))
            {
                rows.Add(
                [
                    group.Key == 0 ? "public" : FormattableString.Invariant($"LoRA {group.Key:F2} at both ends"), $"{seeds[0].Pairs}",
                    Cells.Share([.. seeds.Select(static r => WilsonInterval.Rate(r.Pairs - r.WrongLabels, r.Pairs))]),
                    Cells.Share([.. seeds.Select(static r => r.Score.Top1)]), Cells.Share([.. seeds.Select(static r => r.Score.Top5)]),
                ]);
            }
        }

        return new StudyTable(
            Name, "A malicious worker",
            ["ends", "steps steered", "emitted what the worker chose", "prompt tokens of other sessions, top-1", "top-5"], rows,
            [
                $"Each steered step costs the victim one wrong token on his screen and gives the worker one labelled pair; ridge on those pairs. {documents.Count} documents; seeds {string.Join(", ", settings.Seeds)} of the change and of the tokens chosen: mean, interval over all of them. An audit finds the first crafted state.",
            ]);
    }

    private static async Task<Result[]> AttackAsync(
        LabBench bench, StudySettings settings, Cut cut, IReadOnlyList<CorpusDocument> documents, double scale, int seed, CancellationToken cancellationToken)
    {
        int layers = bench.Source.Config.Layers;
        int[] ends = [.. Enumerable.Range(0, cut.Head), .. Enumerable.Range(layers - cut.Tail, cut.Tail)];
        var crafted = new CraftedStates(bench.Device, bench.Source);
        using TrustedModel victim = bench.OpenVictim(
            cut, (source, device) => scale == 0 ? source : WeightChange.RandomLora(source, device, ends, 16, scale, seed));
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.PromptOnly).RunAsync(documents, null, cancellationToken);
        var results = new List<Result>();
        foreach (int budget in (int[])[500, 2000, 8000])
        {
            settings.Say($"malicious: LoRA {scale}, {budget} pairs, seed {seed}");
            MaliciousWorker attack = await MaliciousWorker.HarvestAsync(
                victim, crafted, bench.Product, bench.Embeddings, Math.Min(budget, settings.MaxPairs), settings.Wire, seed, cancellationToken);
            results.Add(new Result(attack.Pairs, attack.WrongLabels, RecoveryScore.Of(attack, transcripts)));
        }

        return [.. results];
    }

    private sealed record Result(int Pairs, int WrongLabels, RecoveryScore Score);
}
