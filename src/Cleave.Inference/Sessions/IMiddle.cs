using Cleave.Engine;

namespace Cleave.Inference.Sessions;

/// <summary>
/// The middle layers of one session, wherever they run. Steps are answered in the order they were submitted. One caller at
/// a time.
/// </summary>
public interface IMiddle : IAsyncDisposable
{
    /// <summary>Most rows one step may carry.</summary>
    int MaxRowsPerStep { get; }

    /// <summary>Most steps that may be unanswered at once.</summary>
    int MaxStepsInFlight { get; }

    /// <summary>Bytes sent so far, frame headers included; 0 when nothing crosses a network.</summary>
    long BytesUp { get; }

    /// <summary>Bytes received so far.</summary>
    long BytesDown { get; }

    /// <summary>Whose bits these are; equal fingerprints give equal bits.</summary>
    string KernelFingerprint { get; }

    /// <summary>Layers before which activations cross a wire within the middle: where the workers of a chain meet. Empty for one worker.</summary>
    IReadOnlyList<int> WireCuts => [];

    /// <summary>Commits <paramref name="keep"/>, then runs rows. hidden: [rows, hiddenSize] entering the middle.</summary>
    ValueTask SubmitAsync(ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken);

    /// <summary>False while <see cref="ReceiveAsync"/> would have to wait; true when it would not, or when this middle cannot tell.</summary>
    bool ReplyReady => true;

    /// <summary>The answer to the oldest unanswered step. Its memory is valid until the next call.</summary>
    ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken);

    /// <summary>Keeps the first <paramref name="length"/> committed rows after committing <paramref name="keep"/>. No step may be in flight; the next may follow at once.</summary>
    ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken);

    /// <summary>Round-trip time of an empty frame, in milliseconds; 0 when nothing crosses a network. Nothing may be in flight.</summary>
    ValueTask<double> PingAsync(CancellationToken cancellationToken);
}
