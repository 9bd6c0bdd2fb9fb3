using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Weights;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Study;

/// <summary>What every measure that changes the model leaves of it, over the same texts.</summary>
public sealed class UtilityExperiment : IExperiment
{
    private const int LoraRank = 16;

    private static readonly (double Scale, bool BothEnds)[] Changes = [(0.05, false), (0.2, false), (0.5, false), (0.5, true)];
    private static readonly double[] Epsilons = [10_000, 1000, 300];

    /// <inheritdoc />
    public string Name => "utility";

    /// <inheritdoc />
    public string Description => "token agreement and perplexity under every measure that changes the model";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        var cut = new Cut(2, settings.Tail);
        using TrustedModel plain = bench.OpenVictim(cut);
        int[][] texts = [.. CorpusSet.Balanced(bench.Evaluation, settings.Documents).Select(document => Capturer.Tokenize(plain, document, settings.PromptTokens))];
        IReadOnlyList<ForcedRun> before = await TeacherForcing.RunAsync(plain, texts, cancellationToken);
        var rows = new List<IReadOnlyList<string>>();
        void Add(string name, List<KeptQuality> seeds) => rows.Add(
        [
            name, Cells.Share([.. seeds.Select(static u => u.Agreement)]), Cells.Number(Cells.Span([.. seeds.Select(static u => u.Perplexity)]), 1), $"{seeds.Count}",
        ]);

        // 1. The wire: exact when it is f32, the same bits each time when not.
        foreach (WireType wire in (WireType[])[WireType.F32, WireType.F16, WireType.Q8])
        {
            settings.Say($"{Name}: {wire} wire");
            Add($"{wire} wire".ToLowerInvariant(), [await TeacherForcing.CompareAsync(before, plain, texts, wire, null, cancellationToken)]);
        }

        // 2. Weights changed in private, another change for every seed.
        foreach ((double scale, bool bothEnds) in Changes)
        {
            var seeds = new List<KeptQuality>();
            foreach (int seed in settings.Seeds)
            {
                settings.Say($"{Name}: LoRA {scale}, seed {seed}");
                int layers = bench.Source.Config.Layers;
                int[] changed = [.. Enumerable.Range(0, cut.Head), .. bothEnds ? Enumerable.Range(layers - cut.Tail, cut.Tail) : []];
                using TrustedModel victim = bench.OpenVictim(cut, (source, device) => WeightChange.RandomLora(source, device, changed, LoraRank, scale, seed));
                seeds.Add(await TeacherForcing.CompareAsync(before, victim, texts, WireType.F32, null, cancellationToken));
            }

            Add(FormattableString.Invariant($"LoRA {scale:F2}, {(bothEnds ? "both ends" : "head")}"), seeds);
        }

        // 3. Noise, under a key of its own for every text.
        foreach (double epsilon in Epsilons)
        {
            settings.Say($"{Name}: epsilon {epsilon}");
            var options = new EmbeddingNoiseOptions { ClipNorm = bench.Embeddings.MedianNorm, Epsilon = epsilon };
            Add($"noise, epsilon {epsilon:F0} a token", [await TeacherForcing.CompareAsync(before, plain, texts, WireType.F32, () => new EmbeddingNoise(options), cancellationToken)]);
        }

        return new StudyTable(
            Name, "What the measures leave of the model", ["measure", "token agreement", "perplexity", "runs"], rows,
            [
                $"Teacher forcing over {texts.Length} documents of at most {settings.PromptTokens} tokens, beside the same model without the measure; LoRA of rank {LoraRank} with seeds {string.Join(", ", settings.Seeds)}: mean, and the span of their intervals (documents drawn again).",
            ]);
    }
}
