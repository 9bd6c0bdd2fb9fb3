using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>What tree shapes and acceptance alone, without any activation, tell of a session; shaping does not hide them from the worker.</summary>
public sealed class TreeShapeExperiment : IExperiment
{
    private static readonly string[] Decoders = ["sequential", "lookahead", "ngram", "suffix", "auto"];

    /// <inheritdoc />
    public string Name => "tree-shape";

    /// <inheritdoc />
    public string Description => "tier T0: decoder and kind of text from tree shape and acceptance";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        int perSet = Math.Min(settings.Documents / 2, 64);
        CorpusDocument[] trained = [.. CorpusSet.Balanced(bench.Attacker, perSet)];
        CorpusDocument[] tested = [.. CorpusSet.Balanced(bench.Evaluation, perSet)];
        var train = new List<Transcript>();
        var test = new List<Transcript>();
        var trainDecoders = new List<int>();
        var testDecoders = new List<int>();
        using TrustedModel victim = bench.OpenVictim(new Cut(2, settings.Tail));
        for (int decoder = 0; decoder < Decoders.Length; decoder++)
        {
            settings.Say($"{Name}: {Decoders[decoder]}");
            var capturer = new Capturer(victim, settings.WithOutput with { Decoder = Decoders[decoder], PromptTokens = settings.PromptTokens / 2, OutputTokens = 48 });
            train.AddRange(await capturer.RunAsync(trained, null, cancellationToken));
            test.AddRange(await capturer.RunAsync(tested, null, cancellationToken));
            trainDecoders.AddRange(Enumerable.Repeat(decoder, trained.Length));
            testDecoders.AddRange(Enumerable.Repeat(decoder, tested.Length));
        }

        int domains = Enum.GetValues<CorpusDomain>().Length;
        int[] trainDomains = [.. train.Select(static t => (int)t.Document.Domain)];
        int[] testDomains = [.. test.Select(static t => (int)t.Document.Domain)];
        var rows = new List<IReadOnlyList<string>>
        {
            Row(bench, settings, "which decoder", train, trainDecoders, test, testDecoders, Decoders.Length),
            Row(bench, settings, "which kind of text, all decoders", train, trainDomains, test, testDomains, domains),
        };
        // Sequential decoding has no trees, lookahead and n-grams hardly differ by text.
        for (int decoder = 3; decoder < Decoders.Length; decoder++)
        {
            int[] trainRows = [.. Enumerable.Range(0, train.Count).Where(i => trainDecoders[i] == decoder)];
            int[] testRows = [.. Enumerable.Range(0, test.Count).Where(i => testDecoders[i] == decoder)];
            rows.Add(Row(
                bench, settings, $"which kind of text, {Decoders[decoder]} only", [.. trainRows.Select(i => train[i])], [.. trainRows.Select(i => trainDomains[i])],
                [.. testRows.Select(i => test[i])], [.. testRows.Select(i => testDomains[i])], domains));
        }

        return new StudyTable(
            Name, "Tree shape and acceptance, seen by the worker", ["question", "classes", "chance", "right", "sessions"], rows,
            [
                $"Features: rows, depth, leaves and commits of each step, summarised; no activation, size or time. Decoders {string.Join(", ", Decoders)} (of {DecoderCatalog.Names.Count} there are); {train.Count} sessions to train, {test.Count} to test; seeds {string.Join(", ", settings.Seeds)} of the classifier: mean, and the Wilson intervals of all of them together, sessions counted as independent.",
            ]);
    }

    private static IReadOnlyList<string> Row(
        LabBench bench, StudySettings settings, string question, IReadOnlyList<Transcript> train, IReadOnlyList<int> trainLabels,
        IReadOnlyList<Transcript> test, IReadOnlyList<int> testLabels, int classes)
    {
        RateInterval Right(int seed)
        {
            SessionClassifier attack = SessionClassifier.OfShape(bench.Product, [.. train.Select(static t => t.View)], trainLabels, classes, seed);
            IReadOnlyList<AttackClaim> claims = attack.Recover([.. test.Select(static t => t.View)]);
            return WilsonInterval.Rate(Enumerable.Range(0, test.Count).Count(i => claims[i].Label == testLabels[i]), test.Count);
        }

        return [question, $"{classes}", Cells.Share(1.0 / classes), Cells.Share([.. settings.Seeds.Select(Right)]), $"{test.Count}"];
    }
}
