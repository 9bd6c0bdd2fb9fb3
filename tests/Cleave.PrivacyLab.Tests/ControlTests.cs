using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Learning;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Tests;

/// <summary>An attack that misses what it must find is broken, and so is a measurement that finds something in nothing.</summary>
public sealed class ControlTests
{
    [Fact]
    public async Task WithAllWeightsAnUndefendedSessionIsRecoveredWhole()
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        var (device, product, source, embeddings) = LabScene.Attacker();
        using var tail = new TailReplay(device, source, Cut.Default.TailRange(source.Config.Layers), 512);
        using var head = new CandidateHead(device, source, Cut.Default.HeadRange, 32 * 1024);
        var matching = new VocabularyMatching(
            head, new RidgeInversion(product, embeddings, LabScene.Pairs), tail, new MatchOptions { FirstToken = 0, Lanes = 8 });

        RecoveryScore input = RecoveryScore.Of(matching, transcripts);
        RecoveryScore output = RecoveryScore.Of(tail, transcripts);

        TestContext.Current.TestOutputHelper!.WriteLine($"{input} {matching.Cost} {output}");
        Assert.Contains(transcripts, static t => t.Kinds.Contains(RowKind.Draft));
        Assert.Equal(1, input.Top1.Rate);
        Assert.Equal(1, output.Top1.Rate);
        Assert.Equal(0, matching.Cost!.Unmatched);
        Assert.True(matching.Cost.CandidatesPerToken < 2000, $"{matching.Cost.CandidatesPerToken} candidates a token: the proposals are worth nothing");
    }

    [Fact]
    public async Task WithShuffledLabelsARidgeFallsToChance()
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        var (_, product, _, embeddings) = LabScene.Attacker();

        RecoveryScore honest = RecoveryScore.Of(new RidgeInversion(product, embeddings, LabScene.Pairs), transcripts);
        RecoveryScore shuffled = RecoveryScore.Of(new RidgeInversion(product, embeddings, LabScene.Pairs.Shuffled(1)), transcripts);

        // Chance is what the most frequent token gets right: nothing without activations knows more about a row by itself.
        var baselines = new Baselines(CorpusSet.Attacker.Select(d => LabScene.Tokenizer.Encode(d.Text, parseSpecial: true)));
        RecoveryScore chance = RecoveryScore.Of(baselines.Unigram(transcripts), transcripts, BoundarySide.Input);
        TestContext.Current.TestOutputHelper!.WriteLine($"{honest.Top1} {shuffled.Top1} {chance.Top1}");
        Assert.True(honest.Top1.Rate > 0.5, $"{honest.Top1}");
        Assert.True(shuffled.Top1.Rate <= chance.Top1.High, $"{shuffled.Top1} {chance.Top1}");
        Assert.True(chance.Top1.Rate > Baselines.Uniform(LabScene.Tokenizer.VocabularySize, 1), $"{chance.Top1}");
    }

    [Theory]
    [InlineData(2, 2, WireType.F16)]
    [InlineData(4, 2, WireType.F32)]
    [InlineData(6, 2, WireType.F32)]
    [InlineData(8, 2, WireType.F32)]
    [InlineData(2, 6, WireType.Q8)]
    public async Task NoDepthNorWireKeepsAnUndefendedSplitFromWhoHasItsWeights(int head, int tail, WireType wire)
    {
        var cut = new Cut(head, tail);
        using var bench = new LabBench(LabScene.ModelPath);
        using TrustedModel victim = bench.OpenVictim(cut);
        var settings = new StudySettings { PromptTokens = 32, OutputTokens = 8, MaxPairs = 24_576 };
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.WithOutput with { Wire = wire }).RunAsync(
            CorpusSet.Balanced(CorpusSet.Evaluation, 4), null, TestContext.Current.CancellationToken);

        WhiteBoxResult result = WhiteBoxExperiment.Attack(bench, settings, victim, cut, wire, transcripts);

        Assert.True(result.Prompt.Top1.Rate >= 0.99, $"{result.Prompt.Top1} {result.Cost}");
        Assert.True(result.Output.Top1.Rate >= 0.99, $"{result.Output.Top1}");
    }

    [Fact]
    public async Task AMapOntoTheEmbeddingNamesTokensNoPairHeldAndAClosedVocabularyNone()
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        var (_, product, _, embeddings) = LabScene.Attacker();
        static bool Unseen(int token) => token % 5 == 0;
        LabelledPairs pairs = LabScene.Pairs.Where(static token => !Unseen(token));
        static bool Counts(Transcript transcript, int row) => Unseen(transcript.Tokens[row]);

        RecoveryScore ridge = RecoveryScore.Of(new RidgeInversion(product, embeddings, pairs), transcripts, Counts);
        RecoveryScore closed = RecoveryScore.Of(new MlpInversion(new CpuPerceptronTrainer(product), pairs.Take(400), [64], new AdamOptions { Epochs = 2 }), transcripts, Counts);

        Assert.True(ridge.Rows > 30);
        Assert.True(ridge.Top1.Rate > 0.3, $"{ridge.Top1}");
        Assert.Equal(0, closed.Top5.Rate);
    }

    [Fact]
    public void WhatIsAttackedAndWhatAttackersReadShareNoDocument()
    {
        Assert.Equal(256, CorpusSet.Evaluation.Count);
        Assert.Equal(4, CorpusSet.Evaluation.Select(static d => d.Domain).Distinct().Count());
        HashSet<string> read = [.. CorpusSet.Attacker.Select(static d => d.Text)];
        Assert.DoesNotContain(CorpusSet.Evaluation, document => read.Contains(document.Text));

        // Nor is one an excerpt of another: no run of characters long enough to be more than a phrase is in both.
        string all = string.Join('\n', read);
        Assert.DoesNotContain(CorpusSet.Evaluation, document => document.Text.Length > 300 && all.Contains(document.Text.Substring(100, 150), StringComparison.Ordinal));
    }

    [Fact]
    public async Task NoiseThatBlindsTheExactAttackDoesNotBlindOneThatKnowsItsLaw()
    {
        using var bench = new LabBench(LabScene.ModelPath);
        using TrustedModel victim = bench.OpenVictim(Cut.Default);
        var options = new EmbeddingNoiseOptions { ClipNorm = bench.Embeddings.MedianNorm, Epsilon = 10_000 };
        var settings = new StudySettings { PromptTokens = 32 };
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, settings.PromptOnly).RunAsync(
            CorpusSet.Balanced(CorpusSet.Evaluation, 8), _ => new EmbeddingNoise(options), TestContext.Current.CancellationToken);
        LabelledPairs pairs = new PairCollector(victim, WireType.F32, () => new EmbeddingNoise(options)).Collect(
            PairCollector.ShuffledVocabulary(bench.VocabularySize, 2, 32, 1), 2 * bench.VocabularySize, 32);

        RecoveryScore adaptive = RecoveryScore.Of(new AnchorInversion(bench.Product, pairs), transcripts);

        Assert.True(adaptive.Top1.Rate > 0.9, $"{adaptive.Top1}");
    }

    [Fact]
    public async Task AClosedVocabularyNeverExceedsItsCeiling()
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        var (_, product, _, _) = LabScene.Attacker();
        var attack = new MlpInversion(new CpuPerceptronTrainer(product), LabScene.Pairs.Take(880), [256, 256], new AdamOptions { Epochs = 8 });

        RecoveryScore score = RecoveryScore.Of(attack, transcripts);
        RateInterval ceiling = RecoveryScore.Ceiling(transcripts, BoundarySide.Input, attack.Covers);

        TestContext.Current.TestOutputHelper!.WriteLine($"{score.Top1} {score.Top5} {ceiling}");
        Assert.True(score.Top1.Rate > 0.2, $"{score.Top1}");
        Assert.True(score.Top5.Rate <= ceiling.Rate, $"{score.Top5} exceeds {ceiling}");
    }
}
