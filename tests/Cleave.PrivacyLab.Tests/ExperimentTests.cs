using Cleave.Compute;
using Cleave.Compute.Training;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;

namespace Cleave.PrivacyLab.Tests;

/// <summary>Experiments at a size that tests can afford.</summary>
public sealed class ExperimentTests
{
    [Fact]
    public async Task RunsSideBySideGiveTheTableOfRunsOneByOne()
    {
        using var bench = new LabBench(LabScene.ModelPath, open: static () => new CpuDevice(threads: 1));
        var settings = new StudySettings { Documents = 4, PromptTokens = 16, Seeds = [1, 2], MaxPairs = 40 };
        var experiment = new MaliciousWorkerExperiment();

        StudyTable alone = await experiment.RunAsync(bench, settings, TestContext.Current.CancellationToken);
        StudyTable together = await experiment.RunAsync(bench, settings with { SideBySide = 3 }, TestContext.Current.CancellationToken);

        Assert.Equal(alone.Rows.Select(static row => string.Join('|', row)), together.Rows.Select(static row => string.Join('|', row)));
        Assert.Equal(2, alone.Rows.Count);
        Assert.Contains(alone.Notes, static note => note.Contains("seeds 1, 2", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true, 2048)]
    [InlineData(false, 512)]
    public async Task TheNetworkOfTheLargestBudgetTrains(bool onGpu, int width)
    {
        IReadOnlyList<Transcript> transcripts = await LabScene.Transcripts;
        (IReadOnlyList<int> widths, AdamOptions options) = LearnedInversionExperiment.Network(2_400_000, 12_288, seed: 1, onGpu);
        var (_, product, _, _) = LabScene.Attacker();
        using var trainer = new CpuPerceptronTrainer(product);

        // Few pairs: what takes millions of them one or two passes takes these more.
        var attack = new MlpInversion(trainer, LabScene.Pairs.Take(160), widths, options with { Epochs = 20 });
        RecoveryScore score = RecoveryScore.Of(attack, transcripts);
        RateInterval ceiling = RecoveryScore.Ceiling(transcripts, BoundarySide.Input, attack.Covers);

        Assert.Equal([width, width], widths);
        Assert.True(score.Top1.Rate > ceiling.Rate / 2, $"{score.Top1} of {ceiling}");
        Assert.True(score.Top5.Rate <= ceiling.Rate, $"{score.Top5} exceeds {ceiling}");
    }
}
