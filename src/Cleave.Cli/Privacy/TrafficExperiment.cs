using System.Collections.Concurrent;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Learning;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;
using Cleave.Protocol.Shaping;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Privacy;

/// <summary>
/// What the network reads from sizes and times of TLS records, before and after fixed shape, and what the shape costs. Real worker processes
/// over an emulated 80 ms link; sessions run side by side, since most of a session is waiting.
/// </summary>
internal sealed class TrafficExperiment : IExperiment
{
    private const int Lanes = 6;
    private const int OutputTokens = 24;
    private const double RttMs = 80;

    private static readonly string[] Decoders = ["sequential", "suffix", "auto"];
    private static readonly int[] PromptLengths = [16, 40, 64, 96];
    private static readonly string?[] Shapes = [null, "8:90ms:16", "8:90ms:64"];

    /// <inheritdoc />
    public string Name => "traffic";

    /// <inheritdoc />
    public string Description => "tier N: decoder, prompt length and kind of text from TLS records at 80 ms, before and after fixed shape, and its bytes";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        // Some of the documents of other tables: a session takes seconds of waiting.
        int perSet = Math.Clamp(settings.Documents / 4, 8, 48);
        CorpusDocument[] train = [.. CorpusSet.Balanced(bench.Attacker, perSet)];
        CorpusDocument[] test = [.. CorpusSet.Balanced(bench.Evaluation, perSet)];
        var rows = new List<IReadOnlyList<string>>();
        foreach (string? text in Shapes)
        {
            settings.Say($"{Name}: {text ?? "frames as they come"}");
            FrameShape? shape = text is null ? null : FrameShape.Parse(text);
            List<Session> sessions = await RunAsync(bench, [.. train, .. test], shape, settings, cancellationToken);
            Session[] learned = [.. sessions.Where(s => s.Document < train.Length)];
            Session[] asked = [.. sessions.Where(s => s.Document >= train.Length)];
            string Right(int classes, Func<Session, int> label)
            {
                var right = new List<RateInterval>();
                foreach (int seed in settings.Seeds)
                {
                    FeatureClassifier classifier = FeatureClassifier.Train(
                        bench.Product, [.. learned.Select(static s => SessionFeatures.OfTrace(s.Trace))], [.. learned.Select(label)], classes, seed);
                    right.Add(WilsonInterval.Rate(asked.Count(s => classifier.Classify(SessionFeatures.OfTrace(s.Trace)) == label(s)), asked.Length));
                }

                return Cells.Share(right);
            }

            rows.Add(
            [
                text ?? "off", Right(Decoders.Length, static s => s.Decoder), Right(PromptLengths.Length, static s => s.Length),
                Right(Enum.GetValues<CorpusDomain>().Length, static s => s.Domain), $"{asked.Length}",
                Kilobytes(sessions, static s => s.Trace.BytesUp), Kilobytes(sessions, static s => s.Trace.BytesDown),
            ]);
        }

        return new StudyTable(
            Name, "What the network reads from sizes and times",
            [
                "fixed shape (rows:tick:frames)", $"which decoder of {Decoders.Length}", $"which prompt length of {PromptLengths.Length}", "which kind of text of 4", "sessions asked",
                "KB up a session", "KB down a session",
            ],
            rows,
            [
                FormattableString.Invariant($"RTT {RttMs} ms (emulated), {OutputTokens} tokens after prompts of {string.Join(", ", PromptLengths)} tokens, decoders {string.Join(", ", Decoders)}; {Lanes} worker processes side by side; {perSet} documents to train the classifier, {perSet} others to ask it; seeds {string.Join(", ", settings.Seeds)} of the classifier: mean, and the Wilson intervals of all of them together. Chance: {100.0 / Decoders.Length:F1} %, {100.0 / PromptLengths.Length:F1} %, 25.0 %.")
                + " The classifier sees size and time of every TLS record both ways from a session's opening to its closing, and is trained anew for each shape.",
                "In fixed shape a turn's frames go on to the end of its bucket after the text is there. tok/s has a table of its own: defence-cost.",
            ]);
    }

    private static async Task<List<Session>> RunAsync(
        LabBench bench, CorpusDocument[] documents, FrameShape? shape, StudySettings settings, CancellationToken cancellationToken)
    {
        var waiting = new ConcurrentQueue<(int Document, int Decoder)>(
            from document in Enumerable.Range(0, documents.Length) from decoder in Enumerable.Range(0, Decoders.Length) select (document, decoder));
        var done = new ConcurrentBag<Session>();
        await Task.WhenAll(Enumerable.Range(0, Lanes).Select(_ => Task.Run(
            async () =>
            {
                var cut = new Cut(2, settings.Tail);
                await using WorkerProcess worker = await WorkerProcess.StartAsync(
                    bench.ModelPath, cut.MiddleRange(bench.Source.Config.Layers), default, new DeviceSettings(), static _ => { }, cancellationToken);
                await using TrafficLane lane = await TrafficLane.StartAsync(
                    bench.ModelPath, cut, worker.Link, new WanOptions { Rtt = TimeSpan.FromMilliseconds(RttMs) }, shape, cancellationToken);
                await lane.RunAsync([0, 1], 2, "sequential", RttMs, cancellationToken); // the connection's handshake belongs to no session
                while (waiting.TryDequeue(out (int Document, int Decoder) next))
                {
                    CorpusDocument document = documents[next.Document];

                    // Lengths go round within every domain, so that one does not tell the other.
                    int length = documents.Take(next.Document).Count(d => d.Domain == document.Domain) % PromptLengths.Length;
                    int[] prompt = Capturer.Tokenize(lane.Model, document, PromptLengths[length]);
                    TrafficTrace trace = await lane.RunAsync(prompt, OutputTokens, Decoders[next.Decoder], RttMs, cancellationToken);
                    done.Add(new Session(next.Document, next.Decoder, length, (int)document.Domain, trace));
                }
            },
            cancellationToken)));
        return [.. done.OrderBy(static s => s.Document).ThenBy(static s => s.Decoder)];
    }

    private static string Kilobytes(List<Session> sessions, Func<Session, long> bytes) => Cells.Number(ClusterBootstrap.Ratio([.. sessions.GroupBy(static s => s.Document).Select(of => (of.Sum(s => bytes(s) / 1000.0), (double)of.Count()))]), 0);

    private sealed record Session(int Document, int Decoder, int Length, int Domain, TrafficTrace Trace);
}
