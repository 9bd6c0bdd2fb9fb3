using System.Diagnostics;
using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;

namespace Cleave.PrivacyLab.Report;

/// <summary>
/// Attacks the user's own split, briefly, and reports. The order:
/// <list type="number">
/// <item>run documents over the split, with his cut, wire and noise, and keep what the worker saw;</item>
/// <item>attack with what each tier has: all weights (T3), public base weights (T2), pairs (T1), sizes (N);</item>
/// <item>compare with guessing;</item>
/// <item>let the worst tier that applies lead.</item>
/// </list>
/// </summary>
public static class PrivacyMeter
{
    /// <summary>Measures. Worker and audit of the report are the caller's to fill in: he has the worker.</summary>
    public static async Task<PrivacyReport> MeasureAsync(MeterSettings settings, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        bool isPublic = settings.PublicBasePath is null;
        using var bench = new LabBench(settings.ModelPath);
        using LabBench? baseBench = isPublic ? null : new LabBench(settings.PublicBasePath!);
        LabBench known = baseBench ?? bench;
        RequireSameShape(bench, known);
        var study = new StudySettings { PromptTokens = settings.PromptTokens, OutputTokens = settings.OutputTokens, Wire = settings.Wire, MaxPairs = settings.MaxPairs };

        // 1. Sessions.
        settings.Say($"running {settings.Documents} documents over the split");
        using TrustedModel victim = bench.OpenVictim(settings.Cut);
        var ledgers = new List<EmbeddingNoise>();
        IReadOnlyList<Transcript> transcripts = await new Capturer(victim, study.WithOutput).RunAsync(
            CorpusSet.Balanced(bench.Evaluation, settings.Documents), _ => Noise(settings, ledgers), cancellationToken);

        // 2. Attacks.
        var findings = new List<Finding>();
        WhiteBox(known, study, settings, transcripts, isPublic, findings);
        RateInterval learned = Learned(bench, known, victim, study, settings, transcripts, findings);
        findings.Add(Sizes(transcripts, !settings.FixedShape));

        // 3. Baselines.
        settings.Say("guessing without activations");
        var baselines = new Baselines(bench.AttackerTokens);
        Finding[] guesses =
        [
            Row("-", "unigram", RecoveryScore.Of(baselines.Unigram(transcripts), transcripts, BoundarySide.Input), true, "the most frequent tokens"),
            Row("-", "bigram", RecoveryScore.Of(baselines.Bigram(transcripts), transcripts, BoundarySide.Input), true, "knows the true token before"),
            Row("-", "the model without activations", RecoveryScore.Of(Baselines.LanguageModel(known.LanguageModel, transcripts), transcripts, BoundarySide.Input), true, "knows all true tokens before"),
        ];

        // 4. The worst first.
        Finding[] ordered = [.. findings.OrderByDescending(static f => f.Applies).ThenByDescending(static f => f.Top1)];
        return new PrivacyReport
        {
            Verdict = settings.Noise is { } options ? VerdictLine.Noised(options.Epsilon, Composed(ledgers))
                : isPublic ? VerdictLine.PublicWeights : VerdictLine.PrivateEnds(learned),
            Date = settings.Time.GetUtcNow(),
            Model = new ReportedModel(bench.Source.Config.Name, settings.ModelPath, bench.ModelHash(), isPublic),
            Cut = new ReportedCut(settings.Cut.Head, settings.Cut.MiddleRange(bench.Source.Config.Layers).Count, settings.Cut.Tail),
            Worker = new ReportedWorker("not asked", null, "none"),
            Wire = settings.Wire.ToString(),
            SideChannel = "frames as they come: the network sees prompt lengths, pace and accepted guesses",
            Noise = settings.Noise is null ? null : new ReportedNoise(settings.Noise.Epsilon, Composed(ledgers), settings.Noise.Delta, settings.Noise.Sigma / settings.Noise.ClipNorm),
            Traffic = Traffic(transcripts),
            Audit = "not run",
            Findings = ordered,
            Baselines = guesses,
            Documents = transcripts.Count,
            Rows = transcripts.Sum(static t => t.InputRows().Count()),
            Seed = settings.Seed,
            Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds,
        };
    }

    private static void WhiteBox(
        LabBench known, StudySettings study, MeterSettings settings, IReadOnlyList<Transcript> transcripts, bool isPublic, List<Finding> findings)
    {
        settings.Say("attacking with all weights known");
        using TrustedModel copy = known.OpenVictim(settings.Cut);
        using TailReplay tail = known.OpenTail(settings.Cut);
        ThreatTier tier = isPublic ? ThreatTier.T3 : ThreatTier.T2;
        if (isPublic && settings.Noise is null)
        {
            WhiteBoxResult result = WhiteBoxExperiment.Attack(known, study, copy, settings.Cut, settings.Wire, transcripts);
            findings.Add(Row("T3", "vocabulary matching", result.Prompt, true, FormattableString.Invariant(
                $"prompt and output; {1000 * result.Cost.CpuSecondsPerToken:F2} ms of processor time and {result.Cost.CandidatesPerToken:F1} tries a token; {result.Prompt.Exact} of documents without an error")));
            if (result.Drafts.Rows > 0)
            {
                findings.Add(Row("T3", "vocabulary matching", result.Drafts, true, "guesses that were wrong", "drafts"));
            }
        }
        else
        {
            // Noise or a private head: no state matches, the nearest may still be right.
            LabelledPairs pairs = new PairCollector(copy, settings.Wire).Collect(
                known.AttackerWindows(settings.Seed, study.PromptTokens), Math.Min(2 * known.VocabularySize, settings.MaxPairs), study.PromptTokens);
            using CandidateHead head = known.OpenHead(settings.Cut);
            var nearest = new VocabularyMatching(
                head, new RidgeInversion(known.Product, known.Embeddings, pairs), tail,
                new MatchOptions { Exact = false, FirstToken = known.Tokenizer.BosId, ProbeSecond = 12, LanguageModel = 8 });
            findings.Add(Row($"{tier}", "nearest public state", RecoveryScore.Of(nearest, transcripts), true, isPublic ? "knows the weights, not the noise" : "with the public base's weights"));
        }

        findings.Add(Row($"{tier}", "tail replay", RecoveryScore.Of(tail, transcripts), true, isPublic ? "the public tail reads the output" : "the public base's tail reads the output", "output"));
    }

    private static RateInterval Learned(
        LabBench bench, LabBench known, TrustedModel victim, StudySettings study, MeterSettings settings, IReadOnlyList<Transcript> transcripts, List<Finding> findings)
    {
        int budget = Math.Min(bench.VocabularySize, settings.MaxPairs);
        settings.Say($"learning from {budget} pairs");
        var collector = new PairCollector(victim, settings.Wire, () => Noise(settings, null));
        LabelledPairs pairs = collector.Collect(bench.AttackerWindows(settings.Seed, study.PromptTokens), budget, study.PromptTokens);
        RecoveryScore ridge = RecoveryScore.Of(new RidgeInversion(known.Product, known.Embeddings, pairs), transcripts);
        findings.Add(Row("T2", "ridge onto the public embedding", ridge, true, $"{pairs.Count} pairs from using the service"));

        settings.Say("the paper's attack: an MLP on 880 pairs");
        var mlp = new MlpInversion(bench.Trainer, pairs.Take(880), [2048, 2048], new AdamOptions { Epochs = 20, Seed = settings.Seed });
        RateInterval ceiling = RecoveryScore.Ceiling(transcripts, BoundarySide.Input, mlp.Covers);
        findings.Add(Row("T1", "MLP, 880 pairs (the paper's)", RecoveryScore.Of(mlp, transcripts), true, $"it can name {ceiling} of the tokens at all"));
        return ridge.Top1;
    }

    /// <summary>Tier N: the number of rows follows from a frame's size, so a prompt's length is read off.</summary>
    private static Finding Sizes(IReadOnlyList<Transcript> transcripts, bool applies)
    {
        RateInterval read = WilsonInterval.Rate(transcripts.Count(SizeReader.ReadsPromptLength), transcripts.Count);
        return new Finding("N", "frame sizes", "prompt length", read.Rate, read.Low, read.High, read.Rate, applies, applies ? "exact number of prompt tokens, from sizes alone" : "without fixed shape, which is on: the network sees a bucket");
    }

    private static ReportedTraffic Traffic(IReadOnlyList<Transcript> transcripts)
    {
        long up = 0;
        long down = 0;
        int tokens = 0;
        foreach (Transcript transcript in transcripts)
        {
            foreach (ViewedStep step in transcript.View.Steps)
            {
                up += step.BytesUp;
                down += step.BytesDown;
            }

            tokens += transcript.Kinds.Count(static kind => kind != RowKind.Draft);
        }

        return new ReportedTraffic(tokens, up, down, (double)transcripts.Count(SizeReader.ReadsPromptLength) / transcripts.Count);
    }

    private static EmbeddingNoise? Noise(MeterSettings settings, List<EmbeddingNoise>? ledgers)
    {
        if (settings.Noise is null)
        {
            return null;
        }

        var noise = new EmbeddingNoise(settings.Noise);
        ledgers?.Add(noise);
        return noise;
    }

    private static double Composed(List<EmbeddingNoise> ledgers) => ledgers.Count == 0 ? 0 : ledgers.Max(static ledger => ledger.EpsilonComposed);

    private static Finding Row(string tier, string attack, RecoveryScore score, bool applies, string note, string reads = "input") =>
        new(tier, attack, reads, score.Top1.Rate, score.Top1.Low, score.Top1.High, score.Top5.Rate, applies, note);

    private static void RequireSameShape(LabBench bench, LabBench known)
    {
        if (bench.Source.Config.HiddenSize != known.Source.Config.HiddenSize || bench.Source.Config.Layers != known.Source.Config.Layers
            || bench.VocabularySize != known.VocabularySize)
        {
            throw new InferenceException(
                $"{known.ModelPath} ({known.Source.Config.Layers} layers of {known.Source.Config.HiddenSize}, {known.VocabularySize} tokens) is not the base of {bench.ModelPath} ({bench.Source.Config.Layers} of {bench.Source.Config.HiddenSize}, {bench.VocabularySize} tokens); give the published model it was tuned from");
        }
    }
}
