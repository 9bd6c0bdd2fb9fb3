using Cleave.Inference;
using Cleave.Inference.Audit;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Weights;

namespace Cleave.PrivacyLab.Study;

/// <summary>Workers that alter their answers, under the deferred audit: what is caught, with our kernels and with others.</summary>
public sealed class AuditExperiment : IExperiment
{
    private static readonly Cut Cut = Cut.Default;

    /// <inheritdoc />
    public string Name => "audit";

    /// <inheritdoc />
    public string Description => "deferred audit: tampering workers, bit-exact and across kernels, and detection against 1-(1-p)^m";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        IReadOnlyList<CorpusDocument> documents = CorpusSet.Balanced(bench.Evaluation, Math.Clamp(settings.Documents / 4, 8, 40));
        LayerRange middle = Cut.MiddleRange(bench.Source.Config.Layers);
        int[] layers = [.. Enumerable.Range(middle.Start, middle.Count)];
        using TrustedModel honest = bench.OpenVictim(Cut);

        // What each worker returns, compared with our own layers; the honest one with other kernels first: it sets the tolerance.
        (string Worker, Func<Task<List<AuditReport>>> Run)[] workers =
        [
            ("honest, our kernels", () => AuditAsync(bench, settings, honest, documents, null, cancellationToken)),
            ("honest, other order of summation", () => AuditAsync(bench, settings, honest, documents, s => WeightChange.Reordered(s, bench.Device, layers, 1), cancellationToken)),
            ("noise 1e-6 in every step", () => AuditAsync(bench, settings, honest, documents, null, cancellationToken, 1e-6)),
            ("noise 1e-5 in every step", () => AuditAsync(bench, settings, honest, documents, null, cancellationToken, 1e-5)),
            ("noise 1e-4 in every step", () => AuditAsync(bench, settings, honest, documents, null, cancellationToken, 1e-4)),
            ("noise 1e-3 in every step", () => AuditAsync(bench, settings, honest, documents, null, cancellationToken, 1e-3)),
            ("one layer replaced by its neighbour", () => AuditAsync(bench, settings, honest, documents, s => WeightChange.Replaced(s, middle.Start + 3, middle.Start + 4), cancellationToken)),
            ("one layer in 6 bits", () => AuditAsync(bench, settings, honest, documents, s => WeightChange.Quantised(s, bench.Device, [middle.Start + 3], 6), cancellationToken)),
            ("all layers in 4 bits", () => AuditAsync(bench, settings, honest, documents, s => WeightChange.Quantised(s, bench.Device, layers, 4), cancellationToken)),
        ];
        var rows = new List<IReadOnlyList<string>>();
        foreach ((string worker, Func<Task<List<AuditReport>>> run) in workers)
        {
            settings.Say($"{Name}: {worker}");
            List<AuditReport> reports = await run();
            double[] errors = [.. reports.Select(static r => r.LargestError).Order()];
            rows.Add(
            [
                worker, errors[^1].ToString("G3", System.Globalization.CultureInfo.InvariantCulture), errors[0].ToString("G3", System.Globalization.CultureInfo.InvariantCulture),
                Cells.Share(Statistics.WilsonInterval.Rate(errors.Count(static e => e > 0), errors.Length)),
                Cells.Share(Statistics.WilsonInterval.Rate(errors.Count(static e => e > WorkerAudit.CrossKernelTolerance), errors.Length)),
            ]);
        }

        rows.AddRange(await DetectionAsync(bench, settings, honest, documents, cancellationToken));
        return new StudyTable(
            Name, "Deferred audit", ["worker", "largest relative error", "smallest (over conversations)", "caught, equal fingerprints", $"caught, other kernels (tolerance {WorkerAudit.CrossKernelTolerance:G1})"], rows,
            [
                $"{documents.Count} conversations, each replayed whole; errors are those of the worst row. Cross-kernel: the same answers, judged with the tolerance alone; an honest worker must pass it, so its row is the false-alarm rate.",
                "Detection rows: m altered conversations, each audited with probability p; 20,000 draws over the real verdicts, beside 1-(1-p)^m.",
            ]);
    }

    private static async Task<IReadOnlyList<IReadOnlyList<string>>> DetectionAsync(
        LabBench bench, StudySettings settings, TrustedModel honest, IReadOnlyList<CorpusDocument> documents, CancellationToken cancellationToken)
    {
        const int Draws = 20_000;
        List<AuditReport> altered = await AuditAsync(bench, settings, honest, documents, null, cancellationToken, 1e-3, oneStepOnly: true);
        var random = new Random(settings.Seeds[0]);
        var rows = new List<IReadOnlyList<string>>();
        foreach ((double share, int count) in ((double, int)[])[(0.05, 1), (0.05, 8), (0.2, 3), (0.2, 8)])
        {
            int caught = 0;
            int caughtAcross = 0;
            for (int draw = 0; draw < Draws; draw++)
            {
                bool found = false;
                bool foundAcross = false;
                for (int i = 0; i < count; i++)
                {
                    AuditReport report = altered[random.Next(altered.Count)];
                    bool audited = random.NextDouble() < share;
                    found |= audited && !report.Passed;
                    foundAcross |= audited && report.LargestError > WorkerAudit.CrossKernelTolerance;
                }

                caught += found ? 1 : 0;
                caughtAcross += foundAcross ? 1 : 0;
            }

            rows.Add(
            [
                FormattableString.Invariant($"one step of noise 1e-3 in {count} conversations, each audited with probability {share}"), "-", "-",
                $"{Cells.Share(Statistics.WilsonInterval.Rate(caught, Draws))}; expected {Cells.Share(WorkerAudit.DetectionProbability(share, count))}",
                $"{Cells.Share(Statistics.WilsonInterval.Rate(caughtAcross, Draws))}",
            ]);
        }

        return rows;
    }

    /// <summary>Runs conversations over a worker and audits each whole. Equal fingerprints are reported, so that every difference shows.</summary>
    private static async Task<List<AuditReport>> AuditAsync(
        LabBench bench, StudySettings settings, TrustedModel honest, IReadOnlyList<CorpusDocument> documents, Func<IModelSource, IModelSource>? change,
        CancellationToken cancellationToken, double noise = 0, bool oneStepOnly = false)
    {
        using TrustedModel worker = bench.OpenVictim(Cut, (source, _) => change?.Invoke(source) ?? source);
        int room = Capturer.SessionTokens(settings.WithOutput);
        var reports = new List<AuditReport>();
        foreach (CorpusDocument document in documents)
        {
            var log = new AuditLog(settings.Wire, honest.Config.HiddenSize);
            int seed = reports.Count + 1;
            int chosen = 1 + (seed % 5);
            IMiddle middle = worker.CreateLocalMiddle(room, 2 * room);
            if (noise > 0)
            {
                middle = new TamperingMiddle(middle, noise, step => !oneStepOnly || step == chosen, seed);
            }

            await using (var generator = new TextGenerator(new SplitSession(honest, new AuditedMiddle(middle, log), room), new SuffixDrafter()))
            {
                var options = new GenerationOptions
                {
                    Decoding = new DecodingOptions { MaxTokens = settings.OutputTokens, Threshold = 0.05, StopAtEndOfTurn = false },
                };
                await foreach (DecodedToken _ in generator.GenerateAsync(Capturer.Tokenize(honest, document, settings.PromptTokens), options, cancellationToken))
                {
                }
            }

            await using IMiddle reference = honest.CreateLocalMiddle(room, 2 * room);
            reports.Add(await WorkerAudit.ReplayAsync(reference, log, reference.KernelFingerprint, cancellationToken: cancellationToken));
        }

        return reports;
    }
}
