using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;
using Cleave.PrivacyLab.Statistics;

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

        TestContext.Current.TestOutputHelper!.WriteLine($"{honest.Top1} {shuffled.Top1}");
        Assert.True(honest.Top1.Rate > 0.5, $"{honest.Top1}");
        Assert.True(shuffled.Top1.Rate < 0.08, $"{shuffled.Top1}");
    }

    [Fact]
    public async Task AClosedVocabularyNeverExceedsItsCeiling()
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        var (_, product, _, _) = LabScene.Attacker();
        var attack = new MlpInversion(product, LabScene.Pairs.Take(880), [256, 256], new AdamOptions { Epochs = 8 });

        RecoveryScore score = RecoveryScore.Of(attack, transcripts);
        RateInterval ceiling = RecoveryScore.Ceiling(transcripts, BoundarySide.Input, attack.Covers);

        TestContext.Current.TestOutputHelper!.WriteLine($"{score.Top1} {score.Top5} {ceiling}");
        Assert.True(score.Top1.Rate > 0.2, $"{score.Top1}");
        Assert.True(score.Top5.Rate <= ceiling.Rate, $"{score.Top5} exceeds {ceiling}");
    }
}
