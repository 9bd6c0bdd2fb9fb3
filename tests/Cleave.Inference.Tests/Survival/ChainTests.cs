using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A middle spread over workers in a row gives the bits of one worker, and survives what a session on one survives.</summary>
public sealed class ChainTests : IAsyncDisposable
{
    private static readonly Cut s_cut = new(2, 2);
    private readonly TrustedModel _model = DemoModel.Load(s_cut);
    private readonly Dictionary<(int, int), (CpuDevice Device, WorkerModel Model, WorkerEndpoint Endpoint)> _workers = [];

    [Theory]
    [InlineData("sequential")]
    [InlineData("suffix")]
    public async Task Two_and_three_workers_in_a_row_give_the_bits_of_one(string decoder)
    {
        (int[] Tokens, List<uint> Logits) one = await RunAsync(decoder, [Worker(2, 10)], null);
        Assert.Equal(DemoModel.GreedyCases[0].GreedyIds[..12], one.Tokens[..12]);
        foreach (ILink[] chain in (ILink[][])[[Worker(2, 6), Worker(6, 10)], [Worker(2, 3), Worker(3, 9), Worker(9, 10)], [Worker(6, 10), Worker(2, 6)]])
        {
            (int[] tokens, List<uint> logits) = await RunAsync(decoder, chain, null);
            Assert.Equal(one.Tokens, tokens);
            Assert.Equal(one.Logits, logits);
        }
    }

    [Fact]
    public async Task A_link_lost_at_any_hop_is_resumed_with_the_same_tokens()
    {
        for (int hop = 0; hop < 2; hop++)
        {
            FaultyLink[] links = [new(Worker(2, 6)), new(Worker(6, 10))];
            int[] expected = (await RunAsync("suffix", links, null)).Tokens;
            for (int boundary = 4; boundary < links[hop].Boundaries - 4; boundary += 5)
            {
                FaultyLink[] cut = [new(Worker(2, 6)), new(Worker(6, 10))];
                cut[hop].BreakAt = boundary;
                var events = new List<SessionEvent>();
                Assert.Equal(expected, (await RunAsync("suffix", cut, events)).Tokens);
                Assert.True(events.Any(e => e.Kind == SessionEventKind.Resumed), $"no resume at hop {hop}, boundary {boundary}");
                Assert.DoesNotContain(events, e => e.Kind == SessionEventKind.Replaying);
            }
        }
    }

    [Fact]
    public async Task A_worker_lost_in_the_row_is_replaced_by_another_of_its_part()
    {
        int[] expected = (await RunAsync("suffix", [Worker(2, 6), Worker(6, 10)], null)).Tokens;
        for (int boundary = 6; boundary < 40; boundary += 8)
        {
            var dying = new FaultyLink(Worker(6, 10)) { BreakAt = boundary, KillsWorker = true };
            var events = new List<SessionEvent>();
            Assert.Equal(expected, (await RunAsync("suffix", [Worker(2, 6), dying, new FaultyLink(Worker(6, 10))], events)).Tokens);
            Assert.True(!dying.IsDead || events.Any(e => e.Kind == SessionEventKind.Replayed), $"no replay at boundary {boundary}");
        }
    }

    [Fact]
    public async Task Workers_that_make_no_row_are_refused_by_name()
    {
        foreach ((ILink[] links, string says) in new[]
        {
            ([Worker(2, 6)], "nobody holds layers 6..10"),
            ([Worker(2, 6), Worker(5, 10)], "layers from 6 on were needed next"),
            ((ILink[])[Worker(3, 6), Worker(6, 10)], "layers from 2 on were needed next"),
        })
        {
            WireException refused = await Assert.ThrowsAsync<WireException>(() => ConnectAsync(links));
            Assert.Equal(WireErrorCode.UnsupportedLayers, refused.Error.Code);
            Assert.Contains(says, refused.Message, StringComparison.Ordinal);
        }
    }

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

    private LoopbackLink Worker(int start, int end)
    {
        if (!_workers.TryGetValue((start, end), out var worker))
        {
            var device = new CpuDevice(threads: 1);
            WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.Path), device, new LayerRange(start, end), 1024);
            var tenants = new TenantTable();
            tenants.Replace([new Tenant("local", TenantTable.HashToken("token"), new TenantQuota { Sessions = 1000, Streams = 1000 }, DateTimeOffset.UnixEpoch)]);
            worker = (device, model, new WorkerEndpoint(model, tenants));
            _workers.Add((start, end), worker);
        }

        return new LoopbackLink(worker.Endpoint);
    }

    private Task<WorkerChain> ConnectAsync(ILink[] links) => WorkerChain.ConnectAsync(
        links, _model.MiddleRange, range => new WorkerMatch(_model.Source, range, WireType.F32).Check, TestContext.Current.CancellationToken);

    private async Task<(int[] Tokens, List<uint> Logits)> RunAsync(string decoder, ILink[] links, List<SessionEvent>? events)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        WorkerChain chain = await ConnectAsync(links);
        ChainedMiddle middle = await chain.OpenAsync(
            new RemoteMiddleOptions { Range = _model.MiddleRange, HiddenSize = _model.Config.HiddenSize, MaxTokens = 256, Events = happened => events?.Add(happened) },
            cancellationToken);
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
}
