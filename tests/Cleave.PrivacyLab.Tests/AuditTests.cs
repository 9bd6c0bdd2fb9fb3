using Cleave.Inference;
using Cleave.Inference.Audit;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.PrivacyLab.Weights;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Tests;

/// <summary>Workers that compute something else are caught, and honest ones are not accused.</summary>
public sealed class AuditTests
{
    private const int Tampered = 3;
    private static readonly int[] Middle = [.. Enumerable.Range(2, 8)];

    [Fact]
    public async Task AnHonestWorkerPassesBitForBit()
    {
        AuditReport report = await AuditAsync(static source => source);
        Assert.True(report.Passed, $"{report}");
        Assert.True(report.IsBitExact);
        Assert.Equal(0, report.LargestError);
        Assert.True(report.Rows >= 7 + 16, $"{report}"); // the prompt but for its last token, then a row at least for each token
    }

    [Fact]
    public async Task TheSmallestNoiseInOneStepIsFoundInThatStep()
    {
        AuditReport report = await AuditAsync(static source => source, noise: 1e-6);
        Assert.Equal(Tampered, report.FirstAlteredStep);
    }

    [Theory]
    [InlineData("a layer in another's place")]
    [InlineData("four bits")]
    public async Task AnotherModelIsFoundAcrossKernelsToo(string what)
    {
        AuditReport report = await AuditAsync(
            source => what == "four bits" ? WeightChange.Quantised(source, LabScene.Attacker().Device, Middle, 4) : WeightChange.Replaced(source, 5, 6), fingerprint: "another");
        Assert.False(report.IsBitExact);
        Assert.False(report.Passed);
        Assert.True(report.LargestError > 10 * WorkerAudit.CrossKernelTolerance, $"{report}");
    }

    [Fact]
    public async Task AnHonestWorkerWithOtherKernelsIsNotAccused()
    {
        // The same function in another order of summation: other bits, the same model.
        AuditReport report = await AuditAsync(static source => WeightChange.Reordered(source, LabScene.Attacker().Device, Middle, 1), fingerprint: "another");
        Assert.True(report.LargestError > 0, "the bits are the same: this test tests nothing");
        Assert.True(report.Passed, $"{report}");
    }

    [Fact]
    public async Task AuditsDrawnAtRandomFindWhatTheFormulaSays()
    {
        Assert.Equal(1 - Math.Pow(0.8, 3), WorkerAudit.DetectionProbability(0.2, 3), 12);

        AuditReport altered = await AuditAsync(static source => source, noise: 1e-3);
        var random = new Random(1);
        const int Draws = 20_000;
        int caught = Enumerable.Range(0, Draws).Count(_ => Draw(random, 3, 0.2) && !altered.Passed);
        Assert.Equal(WorkerAudit.DetectionProbability(0.2, 3), (double)caught / Draws, 0.015);
    }

    // True when one of so many units is drawn; all are looked at, as each conversation is.
    private static bool Draw(Random random, int units, double share)
    {
        bool drawn = false;
        for (int i = 0; i < units; i++)
        {
            drawn |= random.NextDouble() < share;
        }

        return drawn;
    }

    private static async Task<AuditReport> AuditAsync(Func<IModelSource, IModelSource> change, double noise = 0, string? fingerprint = null)
    {
        const int Room = 256;
        using TrustedModel honest = LabScene.Load(Cut.Default);
        using TrustedModel worker = LabScene.Load(Cut.Default, change);
        var log = new AuditLog(WireType.F32, honest.Config.HiddenSize);
        IMiddle middle = worker.CreateLocalMiddle(Room, 2 * Room);
        middle = noise > 0 ? new TamperingMiddle(middle, noise, static step => step == Tampered, 1) : middle;
        await using (var generator = new TextGenerator(new SplitSession(honest, new AuditedMiddle(middle, log), Room), new SuffixDrafter()))
        {
            var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = 16, Threshold = 0.05, StopAtEndOfTurn = false } };
            await foreach (DecodedToken _ in generator.GenerateAsync((int[])[0, 500, 600, 700, 800, 900, 1000, 1100], options, TestContext.Current.CancellationToken))
            {
            }
        }

        await using IMiddle reference = honest.CreateLocalMiddle(Room, 2 * Room);
        return await WorkerAudit.ReplayAsync(reference, log, fingerprint ?? reference.KernelFingerprint, cancellationToken: TestContext.Current.CancellationToken);
    }
}
