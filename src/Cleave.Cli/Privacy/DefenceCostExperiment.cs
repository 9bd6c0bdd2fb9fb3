using System.Net;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;
using Cleave.PrivacyLab.Weights;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Shaping;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Privacy;

/// <summary>What every defence costs its user in bytes and tok/s at 80 ms: real worker processes over an emulated link, TLS records counted.</summary>
internal sealed class DefenceCostExperiment : IExperiment
{
    private const int Lanes = 6;
    private const int OutputTokens = 48;
    private const int PromptTokens = 48;
    private const int LoraRank = 16;
    private const double RttMs = 80;
    private const double BitsPerSecond = 100e6;

    private static readonly string[] Decoders = ["sequential", "auto"];

    private static readonly Measure[] Measures =
    [
        new("fixed shape 8:45ms:64") { Shape = "8:45ms:64" },
        new("fixed shape 8:90ms:16") { Shape = "8:90ms:16" },
        new("fixed shape 8:90ms:64") { Shape = "8:90ms:64" },
        new("none (head 2, tail 2, f32)"),
        new("head 4") { Head = 4 },
        new("head 6") { Head = 6 },
        new("head 8") { Head = 8 },
        new("tail 6") { Tail = 6 },
        new("random split point, head 2 to 8") { IsRandomSplit = true },
        new("f16 wire") { Wire = WireType.F16 },
        new("q8 wire") { Wire = WireType.Q8 },
        new("LoRA 0.05 in the head") { Lora = 0.05 },
        new("LoRA 0.20 in the head") { Lora = 0.2 },
        new("noise, epsilon 10000") { Epsilon = 10_000 },
        new("noise, epsilon 300") { Epsilon = 300 },
    ];

    /// <inheritdoc />
    public string Name => "defence-cost";

    /// <inheritdoc />
    public string Description => "bytes and tok/s at 80 ms under every defence, sequential and auto";

    /// <inheritdoc />
    public async Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken)
    {
        CorpusDocument[] documents = [.. CorpusSet.Balanced(bench.Evaluation, Math.Clamp(settings.Documents / 16, 4, 16))];
        var waiting = new Queue<int>(Enumerable.Range(0, Measures.Length));
        var rows = new IReadOnlyList<string>[Measures.Length];
        using DraftModel? draft = BundledModels.Find(BundledModels.DraftFile) is { } path ? DraftDevices.Load(path, bench.Tokenizer, "cpu", static _ => { }) : null;
        int lanes = settings.SideBySide > 1 ? settings.SideBySide : Lanes;
        await Task.WhenAll(Enumerable.Range(0, lanes).Select(_ => Task.Run(
            async () =>
            {
                while (Next(waiting) is { } at)
                {
                    settings.Say($"{Name}: {Measures[at].Name}");
                    rows[at] = await RowAsync(bench, settings, Measures[at], documents, draft, cancellationToken);
                }
            },
            cancellationToken)));
        return new StudyTable(
            Name, "What the defences cost at 80 ms",
            ["measure", .. Decoders.Select(static d => $"tok/s, {d}"), .. Decoders.Select(static d => $"KB up a token, {d}"), .. Decoders.Select(static d => $"KB down a token, {d}")], rows,
            [
                FormattableString.Invariant($"RTT {RttMs} ms (emulated, 100 Mbit/s each way), {documents.Length} documents, {OutputTokens} tokens after prompts of at most {PromptTokens}; seed {settings.Seeds[0]}. tok/s: tokens by time from prompt to last token, prompt included; KB: TLS records of the whole session by its tokens. Intervals: documents drawn again.")
                + $" {lanes} sessions side by side, since a session mostly waits. auto drafts with the bundled draft model.",
            ]);
    }

    private static int? Next(Queue<int> waiting)
    {
        lock (waiting)
        {
            return waiting.TryDequeue(out int at) ? at : null;
        }
    }

    private static async Task<IReadOnlyList<string>> RowAsync(
        LabBench bench, StudySettings settings, Measure measure, CorpusDocument[] documents, DraftModel? draft, CancellationToken cancellationToken)
    {
        int[] heads = measure.IsRandomSplit ? [.. Enumerable.Range(2, 7)] : [measure.Head];
        var sessions = new List<Session>();
        foreach (int head in heads)
        {
            CorpusDocument[] own = [.. documents.Where((_, i) => heads[i % heads.Length] == head)];
            sessions.AddRange(own.Length == 0 ? [] : await MeasureAsync(bench, settings, measure, new Cut(head, measure.Tail), own, draft, cancellationToken));
        }

        string Over(string decoder, int digits, Func<Session, (double, double)> ratio) =>
            Cells.Number(ClusterBootstrap.Ratio([.. sessions.Where(s => s.Decoder == decoder).Select(ratio)]), digits);
        return
        [
            measure.Name, .. Decoders.Select(d => Over(d, 1, static s => (s.Tokens, s.Seconds))),
            .. Decoders.Select(d => Over(d, 1, static s => (s.Trace.BytesUp / 1000.0, s.Tokens))), .. Decoders.Select(d => Over(d, 1, static s => (s.Trace.BytesDown / 1000.0, s.Tokens))),
        ];
    }

    private static async Task<List<Session>> MeasureAsync(
        LabBench bench, StudySettings settings, Measure measure, Cut cut, CorpusDocument[] documents, DraftModel? draft, CancellationToken cancellationToken)
    {
        using TrustedModel model = bench.OpenVictim(
            cut, (source, device) => measure.Lora == 0 ? source : WeightChange.RandomLora(source, device, [.. Enumerable.Range(0, cut.Head)], LoraRank, measure.Lora, settings.Seeds[0]));
        await using WorkerProcess worker = await WorkerProcess.StartAsync(bench.ModelPath, model.MiddleRange, default, new DeviceSettings(), static _ => { }, cancellationToken);
        await using WanEmulator wan = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Link.Port),
            new WanOptions { Rtt = TimeSpan.FromMilliseconds(RttMs), UpBitsPerSecond = BitsPerSecond, DownBitsPerSecond = BitsPerSecond });
        await using TrafficTap tap = TrafficTap.Start(wan.ListenEndPoint);
        var plain = new GrpcLink(worker.Link.At(tap.ListenEndPoint.Address.ToString(), tap.ListenEndPoint.Port));
        await using ILink link = measure.Shape is null ? plain : new FixedShapeLink(plain, FrameShape.Parse(measure.Shape));
        var roster = new WorkerRoster([link], new WorkerMatch(bench.Source, model.MiddleRange, measure.Wire).Check);
        var sessions = new List<Session>();
        foreach (CorpusDocument document in (CorpusDocument[])[documents[0], .. documents])
        {
            foreach (string decoder in Decoders)
            {
                tap.Begin();
                int room = PromptTokens + OutputTokens + 128;
                IMiddle middle = await RemoteMiddle.OpenAsync(
                    roster, new RemoteMiddleOptions { Range = model.MiddleRange, WireType = measure.Wire, HiddenSize = model.Config.HiddenSize, MaxTokens = room }, cancellationToken);
                EmbeddingNoise? noise = measure.Epsilon == 0 ? null : new EmbeddingNoise(new EmbeddingNoiseOptions { ClipNorm = bench.Embeddings.MedianNorm, Epsilon = measure.Epsilon });
                Answer answer;
                await using (var generator = new TextGenerator(
                    new SplitSession(model, middle, room, noise), DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft }), RttMs))
                {
                    await generator.PrepareAsync(cancellationToken);
                    var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = OutputTokens, StopAtEndOfTurn = false } };
                    answer = await Answer.GenerateAsync(generator, Capturer.Tokenize(model, document, PromptTokens), options, null, cancellationToken);
                }

                double seconds = (answer.Statistics.TimeToFirstTokenMs + answer.Statistics.DecodeMs) / 1000;
                sessions.Add(new Session(decoder, tap.End(), seconds, answer.Tokens.Count));
            }
        }

        // The first document warmed the connection, the pages and the compiler up.
        return sessions[Decoders.Length..];
    }

    private sealed record Measure(string Name)
    {
        public int Head { get; init; } = 2;

        public int Tail { get; init; } = 2;

        public bool IsRandomSplit { get; init; }

        public WireType Wire { get; init; } = WireType.F32;

        public double Lora { get; init; }

        public double Epsilon { get; init; }

        public string? Shape { get; init; }
    }

    private sealed record Session(string Decoder, TrafficTrace Trace, double Seconds, int Tokens);
}
