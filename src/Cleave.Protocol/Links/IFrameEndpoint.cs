using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Links;

/// <summary>The worker's side of the protocol behind any transport.</summary>
public interface IFrameEndpoint
{
    /// <summary>Answers Describe for an authenticated tenant.</summary>
    WorkerDescription Describe(string tenant);

    /// <summary>
    /// Serves one stream until the client closes it, it breaks, or it is cancelled. Encoded frames in, encoded frames out.
    /// <paramref name="receive"/> returns null at the end of the stream (an empty frame is not the end, and malformed); its memory is valid until the next call.
    /// </summary>
    Task ServeAsync(
        string tenant,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken);

    /// <summary>True when <paramref name="ticket"/> names a session here that another worker brings the rows of.</summary>
    bool Admits(HopTicket ticket);

    /// <summary>Serves a stream of another worker, as <see cref="ServeAsync"/> does one of a client; it can attach to the ticket's session and to no other.</summary>
    Task ServeHopAsync(
        HopTicket ticket,
        Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive,
        Func<WorkerFrame, CancellationToken, ValueTask> send,
        CancellationToken cancellationToken);
}
