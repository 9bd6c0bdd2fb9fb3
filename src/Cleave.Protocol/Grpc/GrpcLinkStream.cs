using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Grpc.Core;

namespace Cleave.Protocol.Grpc;

/// <summary>One Session call.</summary>
internal sealed class GrpcLinkStream : ILinkStream
{
    private readonly GrpcLink _link;
    private readonly GrpcLane _lane;
    private readonly LaneConnection? _connection;
    private readonly CancellationTokenSource _gone = new();
    private readonly AsyncDuplexStreamingCall<ClientFrame, byte[]> _call;
    private long _bytesSent;
    private long _bytesReceived;
    private bool _disposed;

    public GrpcLinkStream(GrpcLink link, GrpcLane lane, Metadata token)
    {
        _link = link;
        _lane = lane;
        _connection = lane.IsClosed ? null : lane.Connection;
        _connection?.SessionBegins();
        _call = lane.Invoker.AsyncDuplexStreamingCall(WorkerMethods.ClientSession, null, new CallOptions(token, cancellationToken: _gone.Token));
    }

    public long BytesSent => Volatile.Read(ref _bytesSent);

    public long BytesReceived => Volatile.Read(ref _bytesReceived);

    public int AheadBytes => _connection is { IsWarm: true } ? WorkerMethods.WarmAheadBytes : WorkerMethods.AheadBytes;

    public bool HasMoved => _connection is { HasMoved: true };

    public async ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
    {
        try
        {
            await _call.RequestStream.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
            if (frame is CloseFrame)
            {
                // Nothing follows it. A call that the worker ends before our half of it has ended is kept by its HTTP/2 for seconds, and
                // someone who closes many sessions in that time is refused.
                await _call.RequestStream.CompleteAsync().ConfigureAwait(false);
            }
        }
        catch (RpcException e) when (e.StatusCode != StatusCode.OK)
        {
            throw _link.Translate(e, _lane);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested && !_disposed))
        {
            // The call is over; only its response side knows why (the worker's last frame, or a status).
            return;
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // The connection broke under the write (a ping unanswered, a reset): not always wrapped in a status.
            throw Lost(e);
        }

        Interlocked.Add(ref _bytesSent, FrameCodec.Size(frame));
    }

    public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
    {
        byte[] bytes;
        try
        {
            if (!await _call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
            {
                return null;
            }

            bytes = _call.ResponseStream.Current;
        }
        catch (RpcException e)
        {
            throw _link.Translate(e, _lane);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw Ended(e);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw Lost(e);
        }

        if (Interlocked.Add(ref _bytesReceived, bytes.Length) == bytes.Length)
        {
            // One that was made for this call: none of it can be another's.
            (_connection ?? _lane.Connection)?.SessionAnswered();
        }

        return FrameCodec.TryRead(bytes, out WorkerFrame? frame, out WireError? error) ? frame : throw new WireException(error!);
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (BytesReceived == 0)
        {
            // Given up before anything came: the next call had better go another way.
            _lane.Doubt();
        }

        try
        {
            // Lets what was sent last (a close frame) go out before the call is reset.
            await _call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or OperationCanceledException or IOException or HttpRequestException)
        {
            // Already ended: nothing to complete.
        }

        await _gone.CancelAsync().ConfigureAwait(false);
        _call.Dispose();
        _gone.Dispose();
    }

    private WireException Lost(Exception inner)
    {
        _lane.Doubt();
        return new WireException(new WireError(WireErrorCode.LinkLost, $"The link to {_link.Name} was lost ({PrintableText.Clean(inner.Message)})."), inner);
    }

    /// <summary>The call ended before this operation: why, as far as it is known.</summary>
    private WireException Ended(OperationCanceledException inner)
    {
        try
        {
            Status status = _call.GetStatus();
            if (status.StatusCode != StatusCode.OK)
            {
                return _link.Translate(new RpcException(status), _lane);
            }
        }
        catch (InvalidOperationException)
        {
            // No status yet.
        }

        return new WireException(new WireError(WireErrorCode.LinkLost, $"The stream to {_link.Name} has ended."), inner);
    }
}
