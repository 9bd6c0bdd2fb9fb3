using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Chaining;

/// <summary>A frame this worker has done its part of, on its way to the next one.</summary>
/// <param name="Origin">As it came; its buffers stay charged until the answer.</param>
/// <param name="Frame">As it goes on, but for its ack.</param>
/// <param name="Returned">Rows that come back.</param>
/// <param name="Dropped">Bitmap of rows dropped here.</param>
/// <param name="QueueMicros">Time it waited here.</param>
/// <param name="ComputeMicros">Time it was computed here.</param>
/// <param name="At">When it went into the relay.</param>
internal sealed record RelayedFrame(
    PendingFrame Origin, ClientFrame Frame, int Returned, byte[] Dropped, uint QueueMicros, uint ComputeMicros, long At)
{
    public ulong Seq => Origin.Seq;

    /// <summary>Those of the unanswered frames that may go out behind a ticket before it is answered, from the first.</summary>
    public static RelayedFrame[] Ahead(IEnumerable<RelayedFrame> unanswered)
    {
        int bytes = 0;
        return [.. unanswered.TakeWhile(frame => (bytes += FrameCodec.Size(frame.Frame)) <= WorkerMethods.AheadBytes)];
    }

    /// <summary>The frame, acknowledging what has been received by now.</summary>
    public ClientFrame With(ulong ack) => Frame switch
    {
        StepFrame step => step with { Ack = ack },
        TruncateFrame truncate => truncate with { Ack = ack },
        _ => Frame,
    };

    /// <summary>The next worker's answer as this one's, with the time of both; null when it is no answer to this frame.</summary>
    /// <param name="rows">The answer.</param>
    /// <param name="rowBytes">Bytes of a row's payload.</param>
    public RowsFrame? Answer(RowsFrame rows, int rowBytes) =>
        rows.RowIds.Length != Returned || rows.Dropped.Length > 0 || rows.Payload.Length != Returned * rowBytes
            ? null
            : rows with { Dropped = Dropped, QueueMicros = Sum(rows.QueueMicros, QueueMicros), ComputeMicros = Sum(rows.ComputeMicros, ComputeMicros) };

    private static uint Sum(uint there, uint here) => (uint)Math.Min((ulong)there + here, uint.MaxValue);
}
