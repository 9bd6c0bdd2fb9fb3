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
}
