using Cleave.Compute;
using Cleave.Inference.Audit;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Chaining;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Workers of parts of the bundled model in this process, which may pass rows on to each other, and runs over rows of them.</summary>
internal sealed class ChainScene : IAsyncDisposable
{
    private readonly TrustedModel _model = DemoModel.Load(new Cut(2, 2));
    private readonly Dictionary<(int, int), (CpuDevice Device, WorkerModel Model, WorkerEndpoint Endpoint)> _workers = [];

    /// <summary>True for rows that go from worker to worker.</summary>
    public bool Forward { get; set; }

    /// <summary>Encoding of activations.</summary>
    public WireType Wire { get; init; }

    /// <summary>Put around every link from worker to worker.</summary>
    public Func<NextHop, ILink, ILink> Between { get; set; } = static (_, link) => link;

    /// <summary>Notes what an audit replays; null notes nothing.</summary>
    public AuditLog? Log { get; set; }

    /// <summary>The middle of the last run.</summary>
    public IMiddle? Opened { get; private set; }

    public TrustedModel Model => _model;

    public static TenantTable OneTenant()
    {
        var tenants = new TenantTable();
        tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 1000, Streams = 1000 }, DateTimeOffset.UnixEpoch)]);
        return tenants;
    }

    public LoopbackLink Worker(int start, int end)
    {
        if (!_workers.TryGetValue((start, end), out var worker))
        {
            var device = new CpuDevice(threads: 1);
            WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.Path), device, new LayerRange(start, end), 1024);
            worker = (device, model, new WorkerEndpoint(model, OneTenant(), next: NextWorkers.Any(LinkTo)));
            _workers.Add((start, end), worker);
        }

        return new LoopbackLink(worker.Endpoint) { Address = new HopAddress("127.0.0.1", start, new byte[32]) };
    }

    /// <summary>A worker's link to the next one.</summary>
    public ILink LinkTo(NextHop hop) => Between(hop, new LoopbackLink(_workers[(hop.Port, hop.LayerEnd)].Endpoint) { Hop = hop.Ticket });

    public Task<WorkerChain> ConnectAsync(ILink[] links) => WorkerChain.ConnectAsync(
        links, _model.MiddleRange, range => new WorkerMatch(_model.Source, range, Wire).Check, TestContext.Current.CancellationToken);

    public async Task<(int[] Tokens, List<uint> Logits)> RunAsync(string decoder, ILink[] links, List<SessionEvent>? events) =>
        await RunAsync(decoder, await ConnectAsync(links), events);

    public async Task<(int[] Tokens, List<uint> Logits)> RunAsync(string decoder, WorkerChain chain, List<SessionEvent>? events)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        IMiddle middle = await chain.OpenAsync(
            new RemoteMiddleOptions { Range = _model.MiddleRange, WireType = Wire, HiddenSize = _model.Config.HiddenSize, MaxTokens = 256, Events = happened => events?.Add(happened) },
            cancellationToken,
            Forward);
        Opened = middle;
        middle = Log is null ? middle : new AuditedMiddle(middle, Log);
        await using TextGenerator generator = new(new SplitSession(_model, middle, 256), DecoderCatalog.Create(decoder, new DrafterContext()));
        var tokens = new List<int>();
        var logits = new LogitRecorder();
        int[] prompt = DemoModel.GreedyCases[0].PromptIds;
        foreach (int[] turn in new[] { prompt, [.. prompt[..(prompt.Length / 2)], .. prompt] })
        {
            var options = new GenerationOptions
            {
                Decoding = new DecodingOptions { MaxTokens = 12, PrefillChunkRows = 8, StopAtEndOfTurn = false },
                Observer = logits,
            };
            await foreach (DecodedToken token in generator.GenerateAsync(turn, options, cancellationToken))
            {
                tokens.Add(token.Token);
            }
        }

        return ([.. tokens], [.. logits.Logits.Select(BitConverter.SingleToUInt32Bits)]);
    }

    public WorkerModel ModelOf(int start, int end) => _workers[(start, end)].Model;

    public async ValueTask DisposeAsync()
    {
        foreach ((CpuDevice device, WorkerModel model, WorkerEndpoint endpoint) in _workers.Values)
        {
            await endpoint.DisposeAsync();
            Assert.Equal(0, model.Pool.Used);
            model.Dispose();
            device.Dispose();
        }

        _model.Dispose();
    }
}
