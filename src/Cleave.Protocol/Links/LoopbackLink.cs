using System.Threading.Channels;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Links;

/// <summary>
/// A link to an endpoint in the same process. Every frame still goes through the codec both ways, so what works here
/// works over the network; only latency and TLS are missing.
/// </summary>
/// <param name="endpoint">The worker.</param>
/// <param name="tenant">Tenant to be.</param>
/// <param name="wrap">Put around every stream, for faults in tests.</param>
public sealed class LoopbackLink(IFrameEndpoint endpoint, string tenant = "local", Func<ILinkStream, ILinkStream>? wrap = null) : ILink
{
    /// <inheritdoc />
    public string Name => "loopback";

    /// <inheritdoc />
    public HopAddress? Address { get; init; }

    /// <summary>Makes this the link of another worker, which may use the ticket's session and no other.</summary>
    public HopTicket? Hop { get; init; }

    /// <inheritdoc />
    public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        byte[] json = DescriptionCodec.Write(endpoint.Describe(tenant));
        return DescriptionCodec.TryRead(json, out WorkerDescription? description, out WireError? error)
            ? ValueTask.FromResult(description!)
            : throw new WireException(error!);
    }

    /// <inheritdoc />
    public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ILinkStream stream = new LoopbackStream(endpoint, tenant, Hop);
        return ValueTask.FromResult(wrap is null ? stream : wrap(stream));
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class LoopbackStream : ILinkStream
    {
        // Bounded like a flow-control window, so that a side that does not read holds the other up here too.
        private const int WindowFrames = 64;

        private readonly Channel<byte[]> _up = Channel.CreateBounded<byte[]>(WindowFrames);
        private readonly Channel<byte[]> _down = Channel.CreateBounded<byte[]>(WindowFrames);
        private readonly CancellationTokenSource _gone = new();
        private readonly Task _serving;
        private long _bytesSent;
        private long _bytesReceived;
        private int _disposed;

        public LoopbackStream(IFrameEndpoint endpoint, string tenant, HopTicket? hop) => _serving = Task.Run(() => ServeAsync(endpoint, tenant, hop));

        public long BytesSent => Volatile.Read(ref _bytesSent);

        public long BytesReceived => Volatile.Read(ref _bytesReceived);

        public async ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            FrameCodec.Write(frame, bytes);
            try
            {
                await _up.Writer.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
            }
            catch (ChannelClosedException e)
            {
                throw new WireException(new WireError(WireErrorCode.LinkLost, "The in-process worker ended the stream."), e);
            }

            Interlocked.Add(ref _bytesSent, bytes.Length);
        }

        public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
        {
            byte[] bytes;
            try
            {
                bytes = await _down.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (ChannelClosedException e) when (e.InnerException is null)
            {
                return null;
            }
            catch (ChannelClosedException e)
            {
                throw e.InnerException as WireException
                    ?? new WireException(new WireError(WireErrorCode.LinkLost, $"The in-process worker failed: {e.InnerException!.Message}"), e);
            }

            Interlocked.Add(ref _bytesReceived, bytes.Length);
            return FrameCodec.TryRead(bytes, out WorkerFrame? frame, out WireError? error) ? frame : throw new WireException(error!);
        }

        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0)
            {
                return;
            }

            _up.Writer.TryComplete();
            _down.Writer.TryComplete();
            await _gone.CancelAsync().ConfigureAwait(false);
            await _serving.ConfigureAwait(false);
            _gone.Dispose();
        }

        private async Task ServeAsync(IFrameEndpoint endpoint, string tenant, HopTicket? hop)
        {
            Exception? failure = null;
            try
            {
                await (hop is null
                    ? endpoint.ServeAsync(tenant, ReceiveAtWorkerAsync, SendFromWorkerAsync, _gone.Token)
                    : endpoint.ServeHopAsync(hop, ReceiveAtWorkerAsync, SendFromWorkerAsync, _gone.Token)).ConfigureAwait(false);
            }
            catch (Exception e) when (_gone.IsCancellationRequested && e is OperationCanceledException or ChannelClosedException)
            {
                // The client hung up.
            }
            catch (Exception e)
            {
                // Surfaces at the client's next receive, as a broken stream does.
                failure = e;
            }

            _up.Writer.TryComplete();
            _down.Writer.TryComplete(failure);
        }

        private async ValueTask<ReadOnlyMemory<byte>?> ReceiveAtWorkerAsync(CancellationToken cancellationToken) =>
            await _up.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false) && _up.Reader.TryRead(out byte[]? bytes)
                ? new ReadOnlyMemory<byte>(bytes)
                : (ReadOnlyMemory<byte>?)null; // a bare null would convert to an empty frame

        private ValueTask SendFromWorkerAsync(WorkerFrame frame, CancellationToken cancellationToken)
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            FrameCodec.Write(frame, bytes);
            return _down.Writer.WriteAsync(bytes, cancellationToken);
        }
    }
}
