using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Protocol.Tests.Codec;

namespace Cleave.Protocol.Tests.Links;

public sealed class LoopbackLinkTests
{
    [Fact]
    public async Task Frames_go_both_ways_and_are_counted()
    {
        await using var link = new LoopbackLink(new EchoEndpoint(), "alice");
        Assert.Equal("alice", (await link.DescribeAsync(default)).ModelName);
        await using ILinkStream stream = await link.OpenStreamAsync(default);
        await stream.SendAsync(new StepFrame(1, 7, 0, default, new StepRow[] { new(1, 0, RowFlags.Return) }, new byte[] { 1, 2, 3, 4 }), default);
        RowsFrame rows = Assert.IsType<RowsFrame>(await stream.ReceiveAsync(default));
        Assert.Equal(7u, rows.Epoch);
        Assert.Equal([1, 2, 3, 4], rows.Payload.ToArray());
        Assert.Equal(32 + 17 + 4, stream.BytesSent);
        Assert.Equal(32 + 8 + 4, stream.BytesReceived);
        await stream.SendAsync(new CloseFrame(), default);
        Assert.Null(await stream.ReceiveAsync(default));
        WireException gone = await Assert.ThrowsAsync<WireException>(async () => await stream.SendAsync(new PingFrame(1), default));
        Assert.Equal(WireErrorCode.LinkLost, gone.Error.Code);
    }

    [Fact]
    public async Task A_failing_endpoint_is_a_lost_link()
    {
        await using var link = new LoopbackLink(new EchoEndpoint());
        await using ILinkStream stream = await link.OpenStreamAsync(default);
        await stream.SendAsync(new ForkFrame(1, 0), default);
        WireException lost = await Assert.ThrowsAsync<WireException>(async () => await stream.ReceiveAsync(default));
        Assert.Equal(WireErrorCode.LinkLost, lost.Error.Code);
        Assert.Contains("no forks here", lost.Error.Message);
    }

    [Fact]
    public async Task A_stream_left_in_the_middle_ends_the_endpoints_work()
    {
        var endpoint = new EchoEndpoint();
        await using var link = new LoopbackLink(endpoint);
        ILinkStream stream = await link.OpenStreamAsync(default);
        await stream.SendAsync(new PingFrame(1), default);
        Assert.Equal(new PongFrame(1), await stream.ReceiveAsync(default));
        await stream.DisposeAsync();
        await stream.DisposeAsync();
        Assert.Equal(0, endpoint.Serving);
        Assert.Equal(1, endpoint.Frames);
    }

    [Fact]
    public async Task A_wrapped_stream_is_what_the_user_gets()
    {
        await using var link = new LoopbackLink(new EchoEndpoint(), wrap: inner => new CutAfter(inner, 2));
        await using ILinkStream stream = await link.OpenStreamAsync(default);
        await stream.SendAsync(new PingFrame(1), default);
        await stream.SendAsync(new PingFrame(2), default);
        await Assert.ThrowsAsync<WireException>(async () => await stream.SendAsync(new PingFrame(3), default));
    }

    private sealed class EchoEndpoint : IFrameEndpoint
    {
        private int _serving;

        public int Serving => Volatile.Read(ref _serving);

        public int Frames { get; private set; }

        public WorkerDescription Describe(string tenant) => DescriptionCodecTests.Sample with { ModelName = tenant };

        public bool Admits(HopTicket ticket) => false;

        public Task ServeHopAsync(HopTicket ticket, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive, Func<WorkerFrame, CancellationToken, ValueTask> send, CancellationToken cancellationToken) =>
            throw new InvalidOperationException("no hops here");

        public async Task ServeAsync(string tenant, Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive, Func<WorkerFrame, CancellationToken, ValueTask> send, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _serving);
            try
            {
                while (await receive(cancellationToken) is { } bytes)
                {
                    Frames++;
                    Assert.True(Protocol.Codec.FrameCodec.TryRead(bytes, out ClientFrame? frame, out _));
                    switch (frame)
                    {
                        case StepFrame step:
                            await send(new RowsFrame(step.Seq, step.Epoch, step.Rows.ToArray().Select(r => r.Id).ToArray(), default, 0, 0, step.Payload), cancellationToken);
                            break;
                        case PingFrame ping:
                            await send(new PongFrame(ping.Nonce), cancellationToken);
                            break;
                        case ForkFrame:
                            throw new InvalidOperationException("no forks here");
                        default:
                            return;
                    }
                }
            }
            finally
            {
                Interlocked.Decrement(ref _serving);
            }
        }
    }

    private sealed class CutAfter(ILinkStream inner, int frames) : ILinkStream
    {
        private int _left = frames;

        public long BytesSent => inner.BytesSent;

        public long BytesReceived => inner.BytesReceived;

        public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken) =>
            _left-- > 0 ? inner.SendAsync(frame, cancellationToken) : throw new WireException(new WireError(WireErrorCode.LinkLost, "cut"));

        public ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken) => inner.ReceiveAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
