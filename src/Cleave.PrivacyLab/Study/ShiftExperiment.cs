using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Learned inversion when the attacker's texts are of another kind, or lack the very tokens asked for.</summary>
public sealed class ShiftExperiment : IExperiment
{
    // Share of the vocabulary whose tokens no pair may hold.
    private const int DisjointOneIn = 5;

    private const int MlpPairs = 880;

    /// <inheritdoc />
    public string Name => "shift";

    /// <inheritdoc />
    public string Description => "tier T1 under a domain shift and on tokens no pair held, with shuffled labels as a control";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        int vocabulary = bench.VocabularySize;
        int budget = Math.Min(vocabulary, settings.MaxPairs);
        var cut = new Cut(settings.Depths[0], settings.Tail);
        using TrustedModel victim = bench.OpenVictim(cut);
        IReadOnlyList<Transcript> all = await new Capturer(victim, settings.PromptOnly).RunAsync(
            CorpusSet.Balanced(bench.Evaluation, settings.Documents), null, cancellationToken);
        var collector = new PairCollector(victim, settings.Wire);
        var rows = new List<IReadOnlyList<string>>();
        foreach (CorpusDomain domain in Enum.GetValues<CorpusDomain>())
        {
            Transcript[] tested = [.. all.Where(t => t.Document.Domain == domain)];
            if (tested.Length == 0)
            {
                continue;
            }

            rows.Add(Row(bench, settings, collector, tested, $"{domain}", "same domain", d => d == domain, budget, null));
            rows.Add(Row(bench, settings, collector, tested, $"{domain}", "the other domains", d => d != domain, budget, null));
        }

        rows.Add(Row(bench, settings, collector, all, "all", "tokens no pair held", static _ => true, budget, static token => token % DisjointOneIn == 0));
        rows.Add(Shuffled(bench, settings, collector, all, budget));
        return new StudyTable(
            Name, "Other texts, other tokens",
            ["test domain", "pairs from", "pairs", "ridge top-1", $"MLP top-1, {MlpPairs} pairs", "MLP ceiling"], rows,
            [
                $"Head {cut.Head}; seeds {string.Join(", ", settings.Seeds)}, the MLP (2048-2048) with the first. For \"tokens no pair held\" one token in {DisjointOneIn} "
                + "was taken out of the pairs and only those are scored: a closed vocabulary cannot name them, a map onto the embedding can.",
                "Shuffled labels are the control: what is left there is chance.",
            ]);
    }

    private IReadOnlyList<string> Row(
        LabBench bench, StudySettings settings, PairCollector collector, IReadOnlyList<Transcript> tested, string test, string from,
        Func<CorpusDomain, bool> domains, int budget, Func<int, bool>? disjoint)
    {
        settings.Say($"{Name}: {test}, pairs from {from}");
        var ridge = new List<RateInterval>();
        RecoveryScore? mlp = null;
        RateInterval ceiling = default;
        foreach (int seed in settings.Seeds)
        {
            LabelledPairs pairs = collector.Collect(bench.AttackerWindows(seed, settings.PromptTokens, domains), budget, settings.PromptTokens);
            pairs = disjoint is null ? pairs : pairs.Where(token => !disjoint(token));
            Func<Transcript, int, bool>? counts = disjoint is null ? null : (t, row) => disjoint(t.Tokens[row]);
            ridge.Add(RecoveryScore.Of(new RidgeInversion(bench.Product, bench.Embeddings, pairs), tested, counts).Top1);
            if (mlp is null)
            {
                (IReadOnlyList<int> widths, AdamOptions options) = LearnedInversionExperiment.Network(MlpPairs, bench.VocabularySize, seed);
                var attack = new MlpInversion(bench.Trainer, pairs.Take(MlpPairs), widths, options);
                mlp = RecoveryScore.Of(attack, tested, counts);
                ceiling = disjoint is null ? RecoveryScore.Ceiling(tested, BoundarySide.Input, attack.Covers) : default;
            }
        }

        return [test, from, $"{budget}", Cells.Share(ridge), Cells.Share(mlp!.Top1), Cells.Share(ceiling)];
    }

    private static IReadOnlyList<string> Shuffled(
        LabBench bench, StudySettings settings, PairCollector collector, IReadOnlyList<Transcript> tested, int budget)
    {
        LabelledPairs pairs = collector.Collect(bench.AttackerWindows(settings.Seeds[0], settings.PromptTokens), budget, settings.PromptTokens).Shuffled(settings.Seeds[0]);
        RecoveryScore score = RecoveryScore.Of(new RidgeInversion(bench.Product, bench.Embeddings, pairs), tested);
        return ["all", "shuffled labels (control)", $"{budget}", Cells.Share(score.Top1), "-", "-"];
    }
}
