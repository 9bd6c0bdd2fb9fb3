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
    private const int Lanes = 4;
    private const int OutputTokens = 24;
    private const double RttMs = 80;

    private static readonly string[] Decoders = ["sequential", "ngram", "suffix"];
    private static readonly int[] PromptLengths = [16, 40, 64, 96];
    private static readonly string?[] Shapes = [null, "8:90ms:16", "8:90ms:64"];

    /// <inheritdoc />
    public string Name => "traffic";

    /// <inheritdoc />
    public string Description => "tier N: decoder, prompt length and kind of text from TLS records at 80 ms, before and after fixed shape, and its cost";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        // A quarter of the documents of other tables: a session takes seconds of waiting.
        int perSet = Math.Clamp(settings.Documents / 8, 8, 24);
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
            Session[] plain = [.. sessions.Where(static s => s.Decoder == 0)];
            Session[] guessing = [.. sessions.Where(static s => s.Decoder == 2)];
            string Right(int classes, Func<Session, int> label)
            {
                FeatureClassifier classifier = FeatureClassifier.Train(
                    bench.Product, [.. learned.Select(static s => SessionFeatures.OfTrace(s.Trace))], [.. learned.Select(label)], classes, settings.Seeds[0]);
                int hits = asked.Count(s => classifier.Classify(SessionFeatures.OfTrace(s.Trace)) == label(s));
                return Cells.Share(WilsonInterval.Rate(hits, asked.Length));
            }

            rows.Add(
            [
                text ?? "off", Right(Decoders.Length, static s => s.Decoder), Right(PromptLengths.Length, static s => s.Length),
                Right(Enum.GetValues<CorpusDomain>().Length, static s => s.Domain), $"{asked.Length}",
                Kilobytes(sessions, static s => s.Trace.BytesUp), Kilobytes(sessions, static s => s.Trace.BytesDown), Speed(plain), Speed(guessing),
            ]);
        }

        return new StudyTable(
            Name, "What the network reads from sizes and times, and what fixed shape costs",
            [
                "fixed shape (rows:tick:frames)", $"which decoder of {Decoders.Length}", $"which prompt length of {PromptLengths.Length}", "which kind of text of 4", "sessions asked",
                "KB up a session", "KB down a session", "tok/s, sequential", "tok/s, suffix",
            ],
            rows,
            [
                FormattableString.Invariant($"RTT {RttMs} ms (emulated), {OutputTokens} tokens after prompts of {string.Join(", ", PromptLengths)} tokens, decoders {string.Join(", ", Decoders)}; {Lanes} worker processes side by side; {perSet} documents to train the classifier, {perSet} others to ask it; seed {settings.Seeds[0]}; Wilson intervals. Chance: {100.0 / Decoders.Length:F1} %, {100.0 / PromptLengths.Length:F1} %, 25.0 %.")
                + " The classifier sees size and time of every TLS record both ways from a session's opening to its closing, and is trained anew for each shape.",
                "tok/s: tokens of all sessions by their time from prompt to last token, prompt included. In fixed shape a turn's frames go on to the end of its bucket after the text is there.",
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
                    (TrafficTrace trace, double seconds, int tokens) = await lane.RunAsync(prompt, OutputTokens, Decoders[next.Decoder], RttMs, cancellationToken);
                    done.Add(new Session(next.Document, next.Decoder, length, (int)document.Domain, trace, seconds, tokens));
                }
            },
            cancellationToken)));
        return [.. done.OrderBy(static s => s.Document).ThenBy(static s => s.Decoder)];
    }

    private static string Kilobytes(List<Session> sessions, Func<Session, long> bytes) => Cells.Number(sessions.Average(s => bytes(s) / 1000.0), 0);

    private static string Speed(Session[] sessions) => Cells.Number(sessions.Sum(static s => s.Tokens) / sessions.Sum(static s => s.Seconds), 1);

    private sealed record Session(int Document, int Decoder, int Length, int Domain, TrafficTrace Trace, double Seconds, int Tokens);
}
