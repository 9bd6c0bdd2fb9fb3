using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Worker.Tests.Support;

/// <summary>A client that speaks frames by hand.</summary>
internal sealed class TestClient : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private TestClient(ILinkStream stream, WireType wireType)
    {
        Stream = stream;
        WireType = wireType;
    }

    public ILinkStream Stream { get; }

    public WireType WireType { get; }

    public OpenedFrame Opened { get; private set; } = null!;

    public static OpenFrame Open(int maxKvTokens = 256, WireType wireType = WireType.F32, ResumeTicket? resume = null) =>
        new(ProtocolVersion.Highest, TestWorker.Layers.Start, TestWorker.Layers.End, wireType, maxKvTokens, resume);

    public static async Task<TestClient> OpenAsync(ILink link, int maxKvTokens = 256, WireType wireType = WireType.F32)
    {
        TestClient client = await StartAsync(link, Open(maxKvTokens, wireType));
        await client.ReceiveOpenedAsync();
        return client;
    }

    /// <summary>A stream whose open frame is sent and not answered yet.</summary>
    public static async Task<TestClient> StartAsync(ILink link, OpenFrame open)
    {
        var client = new TestClient(await link.OpenStreamAsync(default), open.WireType);
        await client.SendAsync(open);
        return client;
    }

    public ResumeTicket Ticket(ulong lastReceivedSeq) => new(Opened.SessionId, Opened.Secret, lastReceivedSeq);

    public async Task<TestClient> ResumeAsync(ILink link, ulong lastReceivedSeq)
    {
        TestClient client = await StartAsync(link, Open(wireType: WireType, resume: Ticket(lastReceivedSeq)));
        await client.ReceiveOpenedAsync();
        return client;
    }

    /// <summary>A refused resume's (or open's) error.</summary>
    public static async Task<WireError> RefusedAsync(ILink link, OpenFrame open)
    {
        await using TestClient client = await StartAsync(link, open);
        return await client.ErrorAsync();
    }

    public ValueTask SendAsync(ClientFrame frame) => Stream.SendAsync(frame, TestContext.Current.CancellationToken);

    public async Task<WorkerFrame?> ReceiveAsync()
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        late.CancelAfter(s_patience);
        return await Stream.ReceiveAsync(late.Token);
    }

    public async Task<RowsFrame> RowsAsync() => await ReceiveAsync() switch
    {
        RowsFrame rows => rows,
        ErrorFrame error => throw new InvalidOperationException($"{error.Error.Code}: {error.Error.Message}"),
        var other => throw new InvalidOperationException($"A {other?.GetType().Name ?? "stream's end"} instead of rows."),
    };

    public async Task<WireError> ErrorAsync()
    {
        WorkerFrame? frame = await ReceiveAsync();
        return Assert.IsType<ErrorFrame>(frame).Error;
    }

    public async Task<float[]> RunAsync(StepFrame step)
    {
        await SendAsync(step);
        return Decode(await RowsAsync());
    }

    public float[] Decode(RowsFrame rows)
    {
        int width = rows.RowIds.Length == 0 ? 1 : rows.Payload.Length / rows.RowIds.Length switch { var n => n };
        int hidden = WireType switch { WireType.F32 => width / 4, WireType.Q8 => width - 4, _ => width / 2 };
        var result = new float[rows.RowIds.Length * hidden];
        if (result.Length > 0)
        {
            Assert.True(ActivationCodec.TryDecode(WireType, rows.Payload.Span, hidden, result, out _));
        }

        return result;
    }

    public async Task ReceiveOpenedAsync() => Opened = await ReceiveAsync() switch
    {
        OpenedFrame opened => opened,
        ErrorFrame error => throw new InvalidOperationException($"{error.Error.Code}: {error.Error.Message}"),
        var other => throw new InvalidOperationException($"A {other?.GetType().Name ?? "stream's end"} instead of an opened frame."),
    };

    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}
