using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Links;

/// <summary>A way to a worker.</summary>
public interface ILink : IAsyncDisposable
{
    /// <summary>What to call it in messages: "127.0.0.1:7707", "loopback".</summary>
    string Name { get; }

    /// <summary>Whoever is at the other end proves this key; equal for two addresses of one worker. Null when nothing is proved.</summary>
    string? Identity => null;

    /// <summary>What to tell another worker so that it finds this one; null when it cannot.</summary>
    HopAddress? Address => null;

    /// <summary>The way to the worker alone, without what a link around it adds: no frame is shaped, no worker started.</summary>
    ILink Bare => this;

    /// <summary>Asks the worker what it is. Connects if need be.</summary>
    /// <exception cref="WireException">Unreachable, wrong fingerprint or token, or a malformed answer.</exception>
    ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>Opens a stream of frames; the first frame sent must be an <see cref="OpenFrame"/>.</summary>
    ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken);
}

/// <summary>
/// An ordered stream of frames both ways. One sender and one receiver at a time. A cancelled send or receive may leave the
/// stream broken: open another one and resume. Received frames own their memory.
/// </summary>
public interface ILinkStream : IAsyncDisposable
{
    /// <summary>Bytes sent and received in frames so far.</summary>
    long BytesSent { get; }

    /// <inheritdoc cref="BytesSent"/>
    long BytesReceived { get; }

    /// <summary>Bytes of unanswered frames that may go out behind a resume's open frame before it is answered.</summary>
    int AheadBytes => Grpc.WorkerMethods.AheadBytes;

    /// <summary>True when it goes over a connection that was carried on when its TCP connection was lost.</summary>
    bool HasMoved => false;

    /// <summary>
    /// Sends a frame. The frame's memory may be reused once the task completes. On a stream that is over already
    /// a frame may vanish without an exception: <see cref="ReceiveAsync"/> tells why it is over.
    /// </summary>
    /// <exception cref="WireException">The link was lost, or refused in the first place.</exception>
    ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken);

    /// <summary>The next frame, its shape checked (lengths, counts); null when the peer ended the stream.</summary>
    /// <exception cref="WireException">The peer broke the protocol or the link was lost.</exception>
    ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken);
}
