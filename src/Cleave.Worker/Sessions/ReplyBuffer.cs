using Cleave.Protocol.Frames;

namespace Cleave.Worker.Sessions;

/// <summary>Replies of a session that its client has not acknowledged, oldest first, with the bytes each is charged for. Under the session's lock.</summary>
internal sealed class ReplyBuffer
{
    private readonly Queue<(ulong Seq, WorkerFrame Frame, long Bytes)> _replies = new();

    /// <summary>Keeps a reply.</summary>
    public void Add(ulong seq, WorkerFrame frame, long bytes) => _replies.Enqueue((seq, frame, bytes));

    /// <summary>Drops replies up to a seq; returns the bytes they were charged for.</summary>
    public long Forget(ulong upTo)
    {
        long bytes = 0;
        while (_replies.TryPeek(out (ulong Seq, WorkerFrame Frame, long Bytes) reply) && reply.Seq <= upTo)
        {
            _replies.Dequeue();
            bytes += reply.Bytes;
        }

        return bytes;
    }

    /// <summary>The reply with a seq, or null.</summary>
    public WorkerFrame? Find(ulong seq) => _replies.FirstOrDefault(reply => reply.Seq == seq).Frame;

    /// <summary>Replies after a seq.</summary>
    public IEnumerable<WorkerFrame> After(ulong seq) => _replies.Where(reply => reply.Seq > seq).Select(static reply => reply.Frame);
}
